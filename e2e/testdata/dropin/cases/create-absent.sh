# A source that does not exist: an error, and no list if it is the first.
$M create --insecure $R:1 $R:absent $R:amd64
$M inspect --insecure $R:1
$M create --insecure $R:1 $R:amd64
