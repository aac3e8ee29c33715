# Only --variant, also an unknown one.
$M create --insecure $R:1 $R:arm64 $R:armv7
$M annotate --variant v9.5 $R:1 $R:armv7
$M annotate --variant odd $R:1 $R:armv7
$M inspect $R:1
$M push --insecure $R:1
