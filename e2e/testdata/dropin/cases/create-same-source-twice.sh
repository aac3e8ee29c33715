# A source that is named twice is one entry.
$M create --insecure $R:1 $R:amd64 $R:amd64 $R:arm64
$M inspect $R:1
