# differs: corrupt
$M create --insecure $R:1 $R:amd64 $R:arm64
$M push --insecure $R:1
entry_files | grep amd64 | while read -r file; do echo '{' >"$file"; done
$M create --insecure $R:1 $R:amd64
$M inspect --insecure $R:1
$M rm $R:1

# docker| $ create --insecure R:1 R:amd64 R:arm64
# docker| Created manifest list R:1
# docker| $ push --insecure R:1
# docker| {#1}
# docker| $ create --insecure R:1 R:amd64
# docker| exit code 1
# docker| $ inspect --insecure R:1
# docker| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{arm64}","platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}
# docker| $ rm R:1
# docker| exit code 1
# docker| store R-1/R-amd64: "{\n"
# docker| store R-1/R-arm64: R:arm64 {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# docker| registry R:1 is {#1}
# docker| registry R:amd64 is {amd64}
# docker| registry R:arm64 is {arm64}

# ours| $ create --insecure R:1 R:amd64 R:arm64
# ours| Created manifest list R:1
# ours| $ push --insecure R:1
# ours| {#1}
# ours| $ create --insecure R:1 R:amd64
# ours| exit code 1
# ours| $ inspect --insecure R:1
# ours| exit code 1
# ours| $ rm R:1
# ours| registry R:1 is {#1}
# ours| registry R:amd64 is {amd64}
# ours| registry R:arm64 is {arm64}
