# differs: platform-alias
$M create --insecure $R:1 $R:amd64
$M annotate $R:1 $R:amd64 --arch aarch64
$M annotate $R:1 $R:amd64 --os macos

# docker| $ create --insecure R:1 R:amd64
# docker| Created manifest list R:1
# docker| $ annotate R:1 R:amd64 --arch aarch64
# docker| exit code 1
# docker| $ annotate R:1 R:amd64 --os macos
# docker| exit code 1
# docker| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# docker| registry R:amd64 is {amd64}

# ours| $ create --insecure R:1 R:amd64
# ours| Created manifest list R:1
# ours| $ annotate R:1 R:amd64 --arch aarch64
# ours| $ annotate R:1 R:amd64 --os macos
# ours| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"darwin"},"size":N}
# ours| registry R:amd64 is {amd64}
