# OCI children in another repository.
$M create --insecure $R:1 $O:ociamd64 $O:ociarm64
$M push --insecure $R:1
