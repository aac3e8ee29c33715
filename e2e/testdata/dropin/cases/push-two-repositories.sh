# Children in both.
$M create --insecure $R:1 $R:amd64 $R:armv7 $O:arm64
$M push --insecure --purge $R:1
