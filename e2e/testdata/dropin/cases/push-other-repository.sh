# Children in another repository are copied into the list's.
$M create --insecure $R:1 $O:amd64 $O:arm64
$M push --insecure $R:1
$M inspect --insecure -v $R:1
