# rm of several lists.
$M create --insecure $R:1 $R:amd64
$M create --insecure $R:2 $R:amd64
$M create --insecure $R:3 $R:amd64
$M rm $R:1 $R:3
