# differs: source-index
$M create --insecure $R:1 $R:list $R:armv7
$M inspect $R:1
$M push --insecure $R:1

# docker| $ create --insecure R:1 R:list R:armv7
# docker| exit code 1
# docker| $ inspect R:1
# docker| exit code 1
# docker| $ push --insecure R:1
# docker| exit code 1
# docker| registry R:armv7 is {armv7}
# docker| registry R:list is {list}

# ours| $ create --insecure R:1 R:list R:armv7
# ours| Created manifest list R:1
# ours| $ inspect R:1
# ours| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{arm64}","platform":{"architecture":"arm64","os":"linux","variant":"v8"}},{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{armv7}","platform":{"architecture":"arm","os":"linux","variant":"v7"}}]}
# ours| $ push --insecure R:1
# ours| {#1}
# ours| store R-1/R-armv7: R:armv7 {"digest":"{armv7}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm","os":"linux","variant":"v7"},"size":N}
# ours| store R-1/R@{amd64}: R@{amd64} {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# ours| store R-1/R@{arm64}: R@{arm64} {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# ours| registry R:1 is {#1}
# ours| registry R:armv7 is {armv7}
# ours| registry R:list is {list}
