# -p removes the local list.
$M create --insecure $R:1 $R:amd64
$M push --insecure -p $R:1
$M inspect --insecure $R:1
$M push --insecure -p $R:1
