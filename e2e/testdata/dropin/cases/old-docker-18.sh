# The oldest form: a digest and a platform instead of a descriptor.
$M create --insecure $R:1 $R:amd64 $R:arm64
written_by_docker_18
$M inspect $R:1
$M inspect $R:1 $R:amd64
$M push --insecure $R:1
$M push --insecure --purge $R:1
