# A local list comes before the registry's image of that name.
$M create --insecure $R:amd64 $R:arm64
$M inspect --insecure $R:amd64
$M rm $R:amd64
$M inspect --insecure $R:amd64
