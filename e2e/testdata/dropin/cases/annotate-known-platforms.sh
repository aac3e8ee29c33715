# Every platform that docker manifest knows.
# in turns: no (each command stands alone)
$M create --insecure $R:1 $R:amd64
for platform in darwin/386 darwin/amd64 darwin/arm darwin/arm64 dragonfly/amd64 freebsd/386 freebsd/amd64 freebsd/arm \
	linux/386 linux/amd64 linux/arm linux/arm64 linux/ppc64le linux/mips64 linux/mips64le linux/riscv64 linux/s390x \
	netbsd/386 netbsd/amd64 netbsd/arm openbsd/386 openbsd/amd64 openbsd/arm plan9/386 plan9/amd64 solaris/amd64 \
	windows/386 windows/amd64; do
	$M annotate $R:1 $R:amd64 --os ${platform%/*} --arch ${platform#*/}
done
