# The first entry is annotated, and is still the first.
$M create --insecure $R:1 $R:amd64 $R:arm64 $R:armv7
$M annotate $R:1 $R:amd64 --variant v2
$M annotate $R:1 $R:arm64 --variant v2
$M inspect $R:1
$M create --insecure --amend $R:1 $R:as390x
$M inspect $R:1
$M push --insecure $R:1
