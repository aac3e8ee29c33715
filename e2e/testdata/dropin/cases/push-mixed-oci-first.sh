# Docker and OCI children, OCI first.
$M create --insecure $R:1 $R:ociamd64 $R:spaced
$M inspect $R:1
$M push --insecure $R:1
