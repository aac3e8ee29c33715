# differs: local-image
# The image is only in the daemon.
$M create --insecure $R:1 $R:local
$M push --insecure $R:1
$M push --insecure $R:local

# docker| $ create --insecure R:1 R:local
# docker| exit code 1
# docker| $ push --insecure R:1
# docker| exit code 1
# docker| $ push --insecure R:local
# docker| exit code 1

# ours| $ create --insecure R:1 R:local
# ours| Created manifest list R:1
# ours| $ push --insecure R:1
# ours| Pushed ref R:local with digest: {#1}
# ours| {#2}
# ours| $ push --insecure R:local
# ours| Pushed ref R:local with digest: {#1}
# ours| {#1}
# ours| store R-1/R-local: R:local {"digest":"{#1}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# ours| registry R:1 is {#2}
# ours| registry R:local is {#1}
