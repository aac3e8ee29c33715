# --amend adds to a list.
$M create --insecure $R:1 $R:amd64
$M create --insecure --amend $R:1 $R:arm64
$M create --insecure -a $R:1 $R:armv7 $O:as390x
$M inspect $R:1
$M push --insecure $R:1
