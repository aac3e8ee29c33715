# Flags after the argument, and the last one counts.
$M create --insecure $R:1 $R:amd64
$M push $R:1 --insecure --purge=true
$M create --insecure $R:1 $R:amd64
$M push $R:1 -p --insecure=true
