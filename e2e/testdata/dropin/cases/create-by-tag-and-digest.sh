# Sources with both: the tag is requested, the digest is checked.
$M create --insecure $R:1 $R:amd64@$amd64
$M annotate $R:1 $R:amd64@$amd64 --variant v2
$M inspect $R:1 $R:amd64@$amd64
$M push --insecure $R:1
$M create --insecure $R:2 $R:amd64@$arm64
