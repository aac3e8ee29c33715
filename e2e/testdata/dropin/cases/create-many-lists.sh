# Lists are kept apart by tag and repository.
$M create --insecure $R:1 $R:amd64
$M create --insecure $R:1.0 $R:arm64
$M create --insecure $O:1 $O:amd64
$M inspect $R:1.0
$M push --insecure $O:1
