# Each tool continues what the other has started, at every step.
$M create --insecure $R:1 $R:amd64 $R:arm64
$M annotate $R:1 $R:arm64 --variant v9
$M create --insecure --amend $R:1 $R:armv7 $O:as390x
$M annotate $R:1 $O:as390x --os-version 1
$M inspect $R:1
$M inspect $R:1 $R:arm64
$M push --insecure $R:1
$M annotate $R:1 $R:armv7 --os-features f
$M push --insecure --purge $R:1
$M inspect --insecure -v $R:1
