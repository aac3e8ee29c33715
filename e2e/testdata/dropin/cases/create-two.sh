# A list of two images.
$M create --insecure $R:1 $R:amd64 $R:arm64
$M inspect $R:1
$M push --insecure $R:1
