# A pushed list is shown unchanged.
$M create --insecure $R:1 $R:amd64 $R:arm64 $O:as390x
$M inspect $R:1
$M push --insecure --purge $R:1
$M inspect --insecure $R:1
$M inspect --insecure -v $R:1
