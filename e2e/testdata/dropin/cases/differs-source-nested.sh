# differs: source-index
$M create --insecure $R:1 $R:nested

# docker| $ create --insecure R:1 R:nested
# docker| exit code 1
# docker| registry R:nested is {nested}

# ours| $ create --insecure R:1 R:nested
# ours| Created manifest list R:1
# ours| store R-1/R@{amd64}: R@{amd64} {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# ours| store R-1/R@{arm64}: R@{arm64} {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# ours| store R-1/R@{ociamd64}: R@{ociamd64} {"digest":"{ociamd64}","mediaType":"application/vnd.oci.image.manifest.v1+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# ours| registry R:nested is {nested}
