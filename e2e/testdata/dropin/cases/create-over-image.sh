# A list may have the name of an image.
$M create --insecure $R:arm64 $R:amd64
$M inspect $R:arm64
$M push --insecure $R:arm64
$M rm $R:arm64
$M inspect --insecure $R:arm64
