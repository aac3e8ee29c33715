# differs: amend-reads-again
# The tag was an image and becomes a list.
$M create --insecure $R:1 $R:amd64
$M create --insecure $R:amd64 $R:arm64
$M push --insecure --purge $R:amd64
$M create --insecure --amend $R:1 $R:amd64
$M inspect $R:1

# docker| $ create --insecure R:1 R:amd64
# docker| Created manifest list R:1
# docker| $ create --insecure R:amd64 R:arm64
# docker| Created manifest list R:amd64
# docker| $ push --insecure --purge R:amd64
# docker| {#1}
# docker| $ create --insecure --amend R:1 R:amd64
# docker| Created manifest list R:1
# docker| $ inspect R:1
# docker| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}}]}
# docker| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# docker| registry R:amd64 is {#1}
# docker| registry R:arm64 is {arm64}

# ours| $ create --insecure R:1 R:amd64
# ours| Created manifest list R:1
# ours| $ create --insecure R:amd64 R:arm64
# ours| Created manifest list R:amd64
# ours| $ push --insecure --purge R:amd64
# ours| {#1}
# ours| $ create --insecure --amend R:1 R:amd64
# ours| Created manifest list R:1
# ours| $ inspect R:1
# ours| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{arm64}","platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}
# ours| store R-1/R-amd64: R:amd64 {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# ours| registry R:amd64 is {#1}
# ours| registry R:arm64 is {arm64}
