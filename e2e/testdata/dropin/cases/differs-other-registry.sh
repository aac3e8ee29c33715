# differs: other-registry
$M create --insecure $R:1 $R:amd64 $X:arm64
$M inspect $R:1
$M push --insecure $R:1

# docker| $ create --insecure R:1 R:amd64 X:arm64
# docker| Created manifest list R:1
# docker| $ inspect R:1
# docker| exit code 1
# docker| $ push --insecure R:1
# docker| exit code 1
# docker| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# docker| store R-1/X-arm64: X:arm64 {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# docker| registry R:amd64 is {amd64}
# docker| registry X:arm64 is {arm64}

# ours| $ create --insecure R:1 R:amd64 X:arm64
# ours| Created manifest list R:1
# ours| $ inspect R:1
# ours| {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{amd64}","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":N,"digest":"{arm64}","platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}
# ours| $ push --insecure R:1
# ours| Pushed ref R@{arm64} with digest: {arm64}
# ours| {#1}
# ours| store R-1/R-amd64: R:amd64 {"digest":"{amd64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"amd64","os":"linux"},"size":N}
# ours| store R-1/X-arm64: X:arm64 {"digest":"{arm64}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":N}
# ours| registry R:1 is {#1}
# ours| registry R:amd64 is {amd64}
# ours| registry X:arm64 is {arm64}
