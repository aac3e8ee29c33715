# A list of ten images, some of another repository.
$M create --insecure $R:1 $R:a386 $R:amd64 $R:amips64le $R:appc64le $R:ariscv64 $R:as390x $O:arm64 $O:armv5 $O:armv6 $O:armv7
$M inspect --verbose $R:1
$M push --insecure $R:1
