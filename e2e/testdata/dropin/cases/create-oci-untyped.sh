# An OCI manifest may lack its media type.
$M create --insecure $R:1 $O:untyped
$M inspect -v $R:1
$M push --insecure $R:1
$M inspect --insecure -v $R:1
