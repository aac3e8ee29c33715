# A list written by docker 20.10, without raw manifests.
$M create --insecure $R:1 $R:amd64 $R:arm64
written_by_docker_20
$M inspect $R:1
$M inspect $R:1 $R:amd64
$M push --insecure $R:1
$M push --insecure --purge $R:1
