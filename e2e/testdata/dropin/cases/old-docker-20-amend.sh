# Its own entries are amended: the images are read again.
$M create --insecure $R:1 $R:amd64 $R:arm64
written_by_docker_20
$M create --insecure --amend $R:1 $R:amd64 $R:arm64
$M inspect --verbose $R:1
$M push --insecure $R:1
