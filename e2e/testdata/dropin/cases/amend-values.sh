# --amend with a value.
$M create --insecure --amend=false $R:1 $R:amd64
$M create --insecure --amend=false $R:1 $R:arm64
$M create --insecure -a=f $R:1 $R:arm64
$M create --insecure --amend=false --amend=1 $R:1 $R:arm64
$M inspect $R:1
