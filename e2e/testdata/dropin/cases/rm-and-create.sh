# A list that is created again has nothing of the old one.
$M create --insecure $R:1 $R:amd64 $R:arm64
$M annotate $R:1 $R:amd64 --variant v2
$M rm $R:1
$M create --insecure $R:1 $R:amd64
$M inspect $R:1
