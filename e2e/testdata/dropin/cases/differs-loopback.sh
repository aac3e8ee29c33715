# differs: loopback
$M create $R:1 $R:amd64
$M push $R:1

# docker| $ create R:1 R:amd64
# docker| exit code 1
# docker| $ push R:1
# docker| exit code 1
# docker| registry R:amd64 is {amd64}

# ours| $ create R:1 R:amd64
# ours| Created manifest list R:1
# ours| $ push R:1
# ours| {#1}
# ours| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# ours| registry R:1 is {#1}
# ours| registry R:amd64 is {amd64}
