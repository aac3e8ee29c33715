# differs: selectors
$M create --insecure $R:1 $R:amd64 $R:arm64
$M inspect $R:1 linux/arm64
$M annotate $R:1 $arm64 --variant v9

# docker| $ create --insecure R:1 R:amd64 R:arm64
# docker| Created manifest list R:1
# docker| $ inspect R:1 linux/arm64
# docker| exit code 1
# docker| $ annotate R:1 {arm64} --variant v9
# docker| exit code 1
# docker| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# docker| store R-1/R-arm64: R:arm64 {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# docker| registry R:amd64 is {amd64}
# docker| registry R:arm64 is {arm64}

# ours| $ create --insecure R:1 R:amd64 R:arm64
# ours| Created manifest list R:1
# ours| $ inspect R:1 linux/arm64
# ours| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{#1}","size":N},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{#2}","size":N}]}
# ours| $ annotate R:1 {arm64} --variant v9
# ours| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# ours| store R-1/R-arm64: R:arm64 {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v9"},"size":N}
# ours| registry R:amd64 is {amd64}
# ours| registry R:arm64 is {arm64}
