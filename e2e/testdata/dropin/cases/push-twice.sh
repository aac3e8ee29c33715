# A second push, unchanged and changed.
$M create --insecure $R:1 $R:amd64 $O:arm64
$M push --insecure $R:1
$M push --insecure $R:1
$M annotate $R:1 $O:arm64 --variant v9
$M push --insecure $R:1
