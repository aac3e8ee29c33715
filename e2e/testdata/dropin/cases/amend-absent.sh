# A failed --amend does not change the list.
$M create --insecure $R:1 $R:amd64
$M create --insecure --amend $R:1 $R:absent
$M inspect $R:1
