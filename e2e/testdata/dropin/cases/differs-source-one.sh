# differs: source-index
# The entry of a list of one platform has the name of that list, so that it can be annotated.
$M create --insecure $R:1 $R:one
$M annotate $R:1 $R:one --variant v9
$M inspect $R:1

# docker| $ create --insecure R:1 R:one
# docker| exit code 1
# docker| $ annotate R:1 R:one --variant v9
# docker| exit code 1
# docker| $ inspect R:1
# docker| exit code 1
# docker| registry R:one is {one}

# ours| $ create --insecure R:1 R:one
# ours| Created manifest list R:1
# ours| $ annotate R:1 R:one --variant v9
# ours| $ inspect R:1
# ours| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{arm64}","platform":{"architecture":"arm64","os":"linux","variant":"v9"}}]}
# ours| store R-1/R-one: R:one {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v9"},"size":N}
# ours| registry R:one is {one}
