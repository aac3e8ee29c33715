# differs: create-fails
$M create --insecure $R:1 $R:amd64
$M create --insecure --amend $R:1 $R:arm64 $R:absent
$M inspect $R:1

# docker| $ create --insecure R:1 R:amd64
# docker| Created manifest list R:1
# docker| $ create --insecure --amend R:1 R:arm64 R:absent
# docker| exit code 1
# docker| $ inspect R:1
# docker| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{arm64}","platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}
# docker| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# docker| store R-1/R-arm64: R:arm64 {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# docker| registry R:amd64 is {amd64}
# docker| registry R:arm64 is {arm64}

# ours| $ create --insecure R:1 R:amd64
# ours| Created manifest list R:1
# ours| $ create --insecure --amend R:1 R:arm64 R:absent
# ours| exit code 1
# ours| $ inspect R:1
# ours| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}}]}
# ours| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# ours| registry R:amd64 is {amd64}
# ours| registry R:arm64 is {arm64}
