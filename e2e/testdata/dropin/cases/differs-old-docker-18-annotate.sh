# differs: old-lists-filled
# The oldest form.
$M create --insecure $R:1 $R:amd64 $R:arm64
written_by_docker_18
$M annotate $R:1 $R:arm64 --variant v9
$M create --insecure --amend $R:1 $R:armv7
$M inspect $R:1
$M push --insecure $R:1

# docker| $ create --insecure R:1 R:amd64 R:arm64
# docker| Created manifest list R:1
# docker| $ annotate R:1 R:arm64 --variant v9
# docker| $ create --insecure --amend R:1 R:armv7
# docker| Created manifest list R:1
# docker| $ inspect R:1
# docker| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{arm64}","platform":{"architecture":"arm64","os":"linux","variant":"v9"}},{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{armv7}","platform":{"architecture":"arm","os":"linux","variant":"v7"}}]}
# docker| $ push --insecure R:1
# docker| {#1}
# docker| store R-1/R-amd64: R:amd64
# docker| store R-1/R-arm64: R:arm64 {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v9"},"size":N}
# docker| store R-1/R-armv7: R:armv7 {"digest":"{armv7}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm","os":"linux","variant":"v7"},"size":N}
# docker| registry R:1 is {#1}
# docker| registry R:amd64 is {amd64}
# docker| registry R:arm64 is {arm64}
# docker| registry R:armv7 is {armv7}

# ours| $ create --insecure R:1 R:amd64 R:arm64
# ours| Created manifest list R:1
# ours| $ annotate R:1 R:arm64 --variant v9
# ours| $ create --insecure --amend R:1 R:armv7
# ours| Created manifest list R:1
# ours| $ inspect R:1
# ours| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{arm64}","platform":{"architecture":"arm64","os":"linux","variant":"v9"}},{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{armv7}","platform":{"architecture":"arm","os":"linux","variant":"v7"}}]}
# ours| $ push --insecure R:1
# ours| {#1}
# ours| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# ours| store R-1/R-arm64: R:arm64 {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v9"},"size":N}
# ours| store R-1/R-armv7: R:armv7 {"digest":"{armv7}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm","os":"linux","variant":"v7"},"size":N}
# ours| registry R:1 is {#1}
# ours| registry R:amd64 is {amd64}
# ours| registry R:arm64 is {arm64}
# ours| registry R:armv7 is {armv7}
