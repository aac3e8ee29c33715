# differs: create-fails
# The next attempt shows it.
$M create --insecure $R:1 $R:amd64 $R:absent
$M create --insecure $R:1 $R:amd64 $R:arm64

# docker| $ create --insecure R:1 R:amd64 R:absent
# docker| exit code 1
# docker| $ create --insecure R:1 R:amd64 R:arm64
# docker| exit code 1
# docker| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# docker| registry R:amd64 is {amd64}
# docker| registry R:arm64 is {arm64}

# ours| $ create --insecure R:1 R:amd64 R:absent
# ours| exit code 1
# ours| $ create --insecure R:1 R:amd64 R:arm64
# ours| Created manifest list R:1
# ours| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# ours| store R-1/R-arm64: R:arm64 {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# ours| registry R:amd64 is {amd64}
# ours| registry R:arm64 is {arm64}
