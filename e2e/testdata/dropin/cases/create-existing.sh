# An existing list is refused without --amend, and does not change.
$M create --insecure $R:1 $R:amd64
$M create --insecure $R:1 $R:arm64
$M inspect $R:1
