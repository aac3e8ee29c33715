# Sources that are named by digest.
$M create --insecure $R:1 $R@$amd64 $O@$arm64
$M inspect $R:1
$M push --insecure $R:1
