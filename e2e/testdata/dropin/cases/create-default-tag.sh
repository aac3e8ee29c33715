# "latest" is added to list and source: $O:latest.
$M create --insecure $R $O
$M annotate $R $O --variant v2
$M inspect $R $O:latest
$M push --insecure $R:latest
$M rm $R
