# differs: platforms
$M create --insecure $R:1 $R:windowsarm
$M annotate $R:1 $R:windowsarm --os-version 10.0.26100.2
$M annotate $R:1 $R:windowsarm --os linux --arch loong64
$M annotate $R:1 $R:windowsarm --os wasip1 --arch wasm

# docker| $ create --insecure R:1 R:windowsarm
# docker| Created manifest list R:1
# docker| $ annotate R:1 R:windowsarm --os-version 10.0.26100.2
# docker| exit code 1
# docker| $ annotate R:1 R:windowsarm --os linux --arch loong64
# docker| exit code 1
# docker| $ annotate R:1 R:windowsarm --os wasip1 --arch wasm
# docker| exit code 1
# docker| store R-1/R-windowsarm: R:windowsarm {"digest":"{windowsarm}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"arm64","os":"windows","os.version":"10.0.26100.1742"},"size":N}
# docker| registry R:windowsarm is {windowsarm}

# ours| $ create --insecure R:1 R:windowsarm
# ours| Created manifest list R:1
# ours| $ annotate R:1 R:windowsarm --os-version 10.0.26100.2
# ours| $ annotate R:1 R:windowsarm --os linux --arch loong64
# ours| $ annotate R:1 R:windowsarm --os wasip1 --arch wasm
# ours| store R-1/R-windowsarm: R:windowsarm {"digest":"{windowsarm}","mediaType":"application/vnd.docker.distribution.manifest.v2+json","platform":{"architecture":"wasm","os":"wasip1","os.version":"10.0.26100.2"},"size":N}
# ours| registry R:windowsarm is {windowsarm}
