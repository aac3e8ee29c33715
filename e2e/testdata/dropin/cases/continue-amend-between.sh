# The amended entry is between existing ones.
$M create --insecure $R:1 $R:armv5 $R:armv7
$M create --insecure --amend $R:1 $R:armv7
$M annotate $R:1 $R:armv7 --variant v9
$M inspect $R:1
$M push --insecure $R:1
