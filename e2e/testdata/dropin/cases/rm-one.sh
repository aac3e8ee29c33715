# rm of one list; the registry does not change.
$M create --insecure $R:1 $R:amd64
$M push --insecure $R:1
$M rm $R:1
$M inspect --insecure $R:1
