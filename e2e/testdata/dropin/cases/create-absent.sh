# A source that is nowhere: an error, and nothing is left when it is the first.
$M create --insecure $R:1 $R:absent $R:amd64
$M inspect --insecure $R:1
$M create --insecure $R:1 $R:amd64
