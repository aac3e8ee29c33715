# A local list is preferred to an image of that name in the registry.
$M create --insecure $R:amd64 $R:arm64
$M inspect --insecure $R:amd64
$M rm $R:amd64
$M inspect --insecure $R:amd64
