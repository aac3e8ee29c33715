# Only --os.
$M create --insecure $R:1 $R:amd64 $R:arm64
$M annotate --os darwin $R:1 $R:arm64
$M inspect $R:1
