# One removes what the other has created.
$M create --insecure $R:1 $R:amd64
$M create --insecure $R:2 $R:amd64
$M rm $R:1
$M create --insecure $R:1 $R:arm64
$M inspect $R:1
$M rm $R:2 $R:1
