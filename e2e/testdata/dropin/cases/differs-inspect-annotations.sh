# differs: inspect-annotations
$M inspect --insecure $R:attested

# docker| $ inspect --insecure R:attested
# docker| {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{ociamd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{ociarm64}","platform":{"architecture":"arm64","os":"linux","variant":"v8"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{attested 3}","platform":{"architecture":"unknown","os":"unknown"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{attested 4}","platform":{"architecture":"unknown","os":"unknown"}}]}
# docker| registry R:attested is {attested}

# ours| $ inspect --insecure R:attested
# ours| {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{ociamd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{ociarm64}","platform":{"architecture":"arm64","os":"linux","variant":"v8"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{attested 3}","annotations":{"vnd.docker.reference.digest":"{ociamd64}","vnd.docker.reference.type":"attestation-manifest"},"platform":{"architecture":"unknown","os":"unknown"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{attested 4}","annotations":{"vnd.docker.reference.digest":"{ociarm64}","vnd.docker.reference.type":"attestation-manifest"},"platform":{"architecture":"unknown","os":"unknown"}}]}
# ours| registry R:attested is {attested}
