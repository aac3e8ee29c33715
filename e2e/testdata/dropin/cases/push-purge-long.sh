# --purge removes the local list.
$M create --insecure $R:1 $R:amd64
$M create --insecure $R:2 $R:amd64
$M push --insecure --purge $R:1
$M create --insecure $R:1 $R:amd64
