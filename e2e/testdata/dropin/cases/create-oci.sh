# OCI images make an OCI index.
$M create --insecure $R:1 $R:ociamd64 $R:ociarm64
$M inspect $R:1
$M inspect -v $R:1
$M push --insecure $R:1
