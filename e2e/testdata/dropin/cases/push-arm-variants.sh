# Variants are kept unchanged.
$M create --insecure $R:1 $R:arm64 $R:armv5 $R:armv6 $R:armv7
$M annotate $R:1 $R:armv7 --variant 7
$M push --insecure $R:1
