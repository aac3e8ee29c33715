# OCI images.
$M create --insecure $R:1 $R:ociamd64
$M create --insecure --amend $R:1 $O:ociarm64
$M annotate $R:1 $O:ociarm64 --variant v9
$M inspect -v $R:1
$M push --insecure --purge $R:1
