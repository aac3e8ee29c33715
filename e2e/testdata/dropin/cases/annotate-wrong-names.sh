# No such entry, no such list, no such reference.
$M create --insecure $R:1 $R:amd64
$M annotate $R:1 $R:arm64 --arch arm64
$M annotate $R:1 $O:amd64 --arch arm64
$M annotate $R:2 $R:amd64 --arch arm64
$M annotate $R:1 $R: --arch arm64
$M annotate $R: $R:amd64 --arch arm64
$M annotate $R/UPPER:1 $R:amd64 --arch arm64
$M annotate '' '' --arch arm64
$M inspect $R:1
