# differs: old-lists
# The white space of the manifest is unknown.
$M create --insecure $R:1 $O:spaced
written_by_docker_20
$M inspect $R:1 $O:spaced
$M push --insecure $R:1

# docker| $ create --insecure R:1 O:spaced
# docker| Created manifest list R:1
# docker| $ inspect R:1 O:spaced
# docker| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{#1}","size":N},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{#2}","size":N}]}
# docker| $ push --insecure R:1
# docker| exit code 1
# docker| store R-1/O-spaced: O:spaced {"digest":"{spaced}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm","os":"linux","variant":"v7"},"size":N}
# docker| registry O:spaced is {spaced}

# ours| $ create --insecure R:1 O:spaced
# ours| Created manifest list R:1
# ours| $ inspect R:1 O:spaced
# ours| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{#1}","size":N},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{#2}","size":N}]}
# ours| $ push --insecure R:1
# ours| Pushed ref R@{spaced} with digest: {spaced}
# ours| {#3}
# ours| store R-1/O-spaced: O:spaced {"digest":"{spaced}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm","os":"linux","variant":"v7"},"size":N}
# ours| registry O:spaced is {spaced}
# ours| registry R:1 is {#3}
