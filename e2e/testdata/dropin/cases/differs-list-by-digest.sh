# differs: list-by-digest
$M create --insecure $R@$amd64 $R:amd64
$M inspect $R@$amd64

# docker| $ create --insecure R@{amd64} R:amd64
# docker| Created manifest list R@{amd64}
# docker| $ inspect R@{amd64}
# docker| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}}]}
# docker| store R@{amd64}/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# docker| registry R:amd64 is {amd64}

# ours| $ create --insecure R@{amd64} R:amd64
# ours| exit code 1
# ours| $ inspect R@{amd64}
# ours| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{#1}","size":N},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{#2}","size":N}]}
# ours| registry R:amd64 is {amd64}
