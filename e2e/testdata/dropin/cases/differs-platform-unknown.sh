# differs: platform-kept
$M create --insecure $R:1 $R:nothing
$M annotate $R:1 $R:nothing --variant v7

# docker| $ create --insecure R:1 R:nothing
# docker| Created manifest list R:1
# docker| $ annotate R:1 R:nothing --variant v7
# docker| exit code 1
# docker| store R-1/R-nothing: R:nothing {"digest":"{nothing}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"","os":""},"size":N}
# docker| registry R:nothing is {nothing}

# ours| $ create --insecure R:1 R:nothing
# ours| Created manifest list R:1
# ours| $ annotate R:1 R:nothing --variant v7
# ours| store R-1/R-nothing: R:nothing {"digest":"{nothing}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"","os":"","variant":"v7"},"size":N}
# ours| registry R:nothing is {nothing}
