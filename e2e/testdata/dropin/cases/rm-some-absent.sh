# rm removes existing lists and reports the others.
$M create --insecure $R:1 $R:amd64
$M create --insecure $R:2 $R:amd64
$M create --insecure $R:3 $R:amd64
$M rm $R:1 $R:absent $R: $R:3
$M rm $R:2 $R:2
