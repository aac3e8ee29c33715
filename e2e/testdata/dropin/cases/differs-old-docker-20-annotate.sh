# differs: old-lists-filled
$M create --insecure $R:1 $R:amd64
written_by_docker_20
$M inspect --insecure -v $R:1
$M annotate $R:1 $R:amd64 --variant v2
$M push --insecure $R:1

# docker| $ create --insecure R:1 R:amd64
# docker| Created manifest list R:1
# docker| $ inspect --insecure -v R:1
# docker| [{"Ref":"R:amd64","Descriptor":{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":"{amd64}","size":N,"platform":{"architecture":"amd64","os":"linux"}},"SchemaV2Manifest":{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{#1}","size":N},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{#2}","size":N}]}}]
# docker| $ annotate R:1 R:amd64 --variant v2
# docker| $ push --insecure R:1
# docker| {#3}
# docker| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux","variant":"v2"},"size":N}
# docker| registry R:1 is {#3}
# docker| registry R:amd64 is {amd64}

# ours| $ create --insecure R:1 R:amd64
# ours| Created manifest list R:1
# ours| $ inspect --insecure -v R:1
# ours| [{"Ref":"R:amd64","Descriptor":{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":"{amd64}","size":N,"platform":{"architecture":"amd64","os":"linux"}},"Raw":"...","SchemaV2Manifest":{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{#1}","size":N},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{#2}","size":N}]}}]
# ours| $ annotate R:1 R:amd64 --variant v2
# ours| $ push --insecure R:1
# ours| {#3}
# ours| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux","variant":"v2"},"size":N}
# ours| registry R:1 is {#3}
# ours| registry R:amd64 is {amd64}
