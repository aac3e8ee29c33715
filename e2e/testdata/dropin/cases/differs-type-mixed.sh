# differs: list-type
$M create --insecure $R:1 $R:amd64 $R:ociarm64
$M inspect $R:1
$M push --insecure $R:1

# docker| $ create --insecure R:1 R:amd64 R:ociarm64
# docker| Created manifest list R:1
# docker| $ inspect R:1
# docker| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{ociarm64}","platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}
# docker| $ push --insecure R:1
# docker| {#1}
# docker| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# docker| store R-1/R-ociarm64: R:ociarm64 {"digest":"{ociarm64}","mediaType":"application/vnd.oci.image.manifest.v1+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# docker| registry R:1 is {#1}
# docker| registry R:amd64 is {amd64}
# docker| registry R:ociarm64 is {ociarm64}

# ours| $ create --insecure R:1 R:amd64 R:ociarm64
# ours| Created manifest list R:1
# ours| $ inspect R:1
# ours| {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{ociarm64}","platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}
# ours| $ push --insecure R:1
# ours| {#2}
# ours| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# ours| store R-1/R-ociarm64: R:ociarm64 {"digest":"{ociarm64}","mediaType":"application/vnd.oci.image.manifest.v1+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# ours| registry R:1 is {#2}
# ours| registry R:amd64 is {amd64}
# ours| registry R:ociarm64 is {ociarm64}
