# --purge with a value.
$M create --insecure $R:1 $R:amd64
$M push --insecure --purge=false $R:1
$M push --insecure --purge=0 $R:1
$M push --insecure -p=false $R:1
$M push --insecure --purge --purge=f $R:1
$M push --insecure --purge=maybe $R:1
$M push --insecure --purge= $R:1
$M push --insecure -p false $R:1
$M push --insecure --purge=T $R:1
