# differs: list-type-shown
# The index in a registry has an OCI media type, its first image a Docker one.
$M inspect --insecure $R:crossed

# docker| $ inspect --insecure R:crossed
# docker| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{ociarm64}","platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}
# docker| registry R:crossed is {crossed}

# ours| $ inspect --insecure R:crossed
# ours| {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{ociarm64}","platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}
# ours| registry R:crossed is {crossed}
