# Only --arch.
$M create --insecure $R:1 $R:amd64 $R:arm64
$M annotate --arch s390x $R:1 $R:arm64
$M inspect $R:1
