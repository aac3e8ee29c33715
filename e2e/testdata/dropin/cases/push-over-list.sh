# A tag moves from one list to another.
$M create --insecure $R:1 $R:amd64
$M push --insecure --purge $R:1
$M create --insecure $R:1 $R:arm64
$M push --insecure --purge $R:1
