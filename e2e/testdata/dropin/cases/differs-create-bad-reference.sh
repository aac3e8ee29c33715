# differs: create-fails
$M create --insecure $R:1 $R:amd64 $R:

# docker| $ create --insecure R:1 R:amd64 R:
# docker| exit code 1
# docker| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# docker| registry R:amd64 is {amd64}

# ours| $ create --insecure R:1 R:amd64 R:
# ours| exit code 1
# ours| registry R:amd64 is {amd64}
