# --amend that fails at once leaves the list as it was.
$M create --insecure $R:1 $R:amd64
$M create --insecure --amend $R:1 $R:absent
$M inspect $R:1
