# --insecure before and after arguments, with a value, twice.
$M create --insecure=true $R:1 $R:amd64
$M create $R:2 $R:amd64 --insecure --insecure
$M inspect $R:1 --insecure
$M inspect --insecure $R:1 $R:amd64
$M push $R:1 --insecure
