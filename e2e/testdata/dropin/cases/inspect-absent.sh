# Absent images, entries and lists.
$M inspect --insecure $R:absent
$M inspect --insecure -v $R:absent
$M inspect --insecure $R@sha256:0000000000000000000000000000000000000000000000000000000000000000
$M inspect --insecure $R:1 $R:amd64
$M create --insecure $R:1 $R:amd64
$M inspect $R:1 $R:arm64
$M inspect $R:2 $R:amd64
$M inspect $R: $R:amd64
$M inspect $R:1 $R/UPPER:amd64
$M inspect ''
