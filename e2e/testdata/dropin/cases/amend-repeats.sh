# --amend with an existing entry.
$M create --insecure $R:1 $R:amd64 $R:arm64
$M create --insecure --amend $R:1 $R:amd64 $R:arm64
$M push --insecure $R:1
