# --amend without a list creates one.
$M create --insecure --amend $R:1 $R:amd64
$M inspect $R:1
