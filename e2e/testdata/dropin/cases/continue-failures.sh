# What one tool refuses the other refuses, too, and the list does not change.
$M create --insecure $R:1 $R:amd64
$M create --insecure $R:1 $R:arm64
$M annotate $R:1 $R:arm64 --arch arm64
$M create --insecure --amend $R:1 $R:absent
$M annotate $R:1 $R:amd64 --arch never
$M inspect $R:1
$M push --insecure $R:2
$M push --insecure $R:1
