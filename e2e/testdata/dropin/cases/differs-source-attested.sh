# differs: source-index
# Attestations are included.
$M create --insecure $R:1 $O:attested
$M push --insecure $R:1

# docker| $ create --insecure R:1 O:attested
# docker| exit code 1
# docker| $ push --insecure R:1
# docker| exit code 1
# docker| registry O:attested is {attested}

# ours| $ create --insecure R:1 O:attested
# ours| Created manifest list R:1
# ours| $ push --insecure R:1
# ours| Pushed ref R@{ociamd64} with digest: {ociamd64}
# ours| Pushed ref R@{ociarm64} with digest: {ociarm64}
# ours| Pushed ref R@{attested 3} with digest: {attested 3}
# ours| Pushed ref R@{attested 4} with digest: {attested 4}
# ours| {attested}
# ours| store R-1/O@{attested 3}: O@{attested 3} {"annotations":{"vnd.docker.reference.digest":"{ociamd64}","vnd.docker.reference.type":"attestation-manifest"},"digest":"{attested 3}","mediaType":"application/vnd.oci.image.manifest.v1+json","platform":{"architecture":"unknown","os":"unknown"},"size":N}
# ours| store R-1/O@{attested 4}: O@{attested 4} {"annotations":{"vnd.docker.reference.digest":"{ociarm64}","vnd.docker.reference.type":"attestation-manifest"},"digest":"{attested 4}","mediaType":"application/vnd.oci.image.manifest.v1+json","platform":{"architecture":"unknown","os":"unknown"},"size":N}
# ours| store R-1/O@{ociamd64}: O@{ociamd64} {"digest":"{ociamd64}","mediaType":"application/vnd.oci.image.manifest.v1+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# ours| store R-1/O@{ociarm64}: O@{ociarm64} {"digest":"{ociarm64}","mediaType":"application/vnd.oci.image.manifest.v1+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# ours| registry O:attested is {attested}
# ours| registry R:1 is {attested}
