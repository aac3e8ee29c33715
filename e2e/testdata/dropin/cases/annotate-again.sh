# The last value counts.
$M create --insecure $R:1 $R:armv7
$M annotate $R:1 $R:armv7 --variant v5
$M annotate $R:1 $R:armv7 --variant v6 --variant v8
$M inspect $R:1
