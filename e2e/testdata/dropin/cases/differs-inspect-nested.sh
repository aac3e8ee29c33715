# differs: inspect-nested
$M inspect --insecure $R:nested
$M inspect --insecure -v $R:nested

# docker| $ inspect --insecure R:nested
# docker| exit code 1
# docker| $ inspect --insecure -v R:nested
# docker| exit code 1
# docker| registry R:nested is {nested}

# ours| $ inspect --insecure R:nested
# ours| {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","size":N,"digest":"{list}","platform":{"architecture":"","os":""}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":N,"digest":"{ociamd64}","platform":{"architecture":"amd64","os":"linux"}}]}
# ours| $ inspect --insecure -v R:nested
# ours| [{"Ref":"R:nested@{list}","Descriptor":{"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","digest":"{list}","size":N,"platform":{"architecture":"","os":""}},"Raw":"..."},{"Ref":"R:nested@{ociamd64}","Descriptor":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{ociamd64}","size":N,"platform":{"architecture":"amd64","os":"linux"}},"Raw":"...","OCIManifest":{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{#1}","size":N},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{#2}","size":N}]}}]
# ours| registry R:nested is {nested}
