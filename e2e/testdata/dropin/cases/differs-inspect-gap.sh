# differs: inspect-gap
$M inspect --insecure $R:gap
$M inspect --insecure -v $R:gap

# docker| $ inspect --insecure R:gap
# docker| exit code 1
# docker| $ inspect --insecure -v R:gap
# docker| exit code 1
# docker| registry R:gap is {gap}, incomplete: GET /v2/R/manifests/{as390x}: not found

# ours| $ inspect --insecure R:gap
# ours| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{as390x}","platform":{"architecture":"s390x","os":"linux"}}]}
# ours| $ inspect --insecure -v R:gap
# ours| [{"Ref":"R:gap@{amd64}","Descriptor":{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":"{amd64}","size":N,"platform":{"architecture":"amd64","os":"linux"}},"Raw":"...","SchemaV2Manifest":{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{#1}","size":N},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{#2}","size":N}]}},{"Ref":"R:gap@{as390x}","Descriptor":{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":"{as390x}","size":N,"platform":{"architecture":"s390x","os":"linux"}}}]
# ours| registry R:gap is {gap}, incomplete: GET /v2/R/manifests/{as390x}: not found
