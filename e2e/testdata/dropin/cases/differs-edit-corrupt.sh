# differs: corrupt-edit
$M create --insecure $R:1 $R:amd64 $R:arm64
entry_files | grep amd64 | while read -r file; do echo '{' >"$file"; done
$M inspect $R:1 $R:arm64
$M annotate $R:1 $R:arm64 --variant v9

# docker| $ create --insecure R:1 R:amd64 R:arm64
# docker| Created manifest list R:1
# docker| $ inspect R:1 R:arm64
# docker| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{#1}","size":N},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{#2}","size":N}]}
# docker| $ annotate R:1 R:arm64 --variant v9
# docker| store R-1/R-amd64: "{\n"
# docker| store R-1/R-arm64: R:arm64 {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v9"},"size":N}
# docker| registry R:amd64 is {amd64}
# docker| registry R:arm64 is {arm64}

# ours| $ create --insecure R:1 R:amd64 R:arm64
# ours| Created manifest list R:1
# ours| $ inspect R:1 R:arm64
# ours| exit code 1
# ours| $ annotate R:1 R:arm64 --variant v9
# ours| exit code 1
# ours| store R-1/R-amd64: "{\n"
# ours| store R-1/R-arm64: R:arm64 {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# ours| registry R:amd64 is {amd64}
# ours| registry R:arm64 is {arm64}
