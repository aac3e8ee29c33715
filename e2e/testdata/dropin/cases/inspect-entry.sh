# An entry of a list, plain and verbose.
$M create --insecure $R:1 $R:amd64 $R:indented $R:ociarm64
$M inspect $R:1 $R:amd64
$M inspect --insecure $R:1 $R:indented
$M inspect $R:1 $R:ociarm64
$M inspect --verbose $R:1 $R:amd64
$M inspect -v $R:1 $R:ociarm64
