# A list that docker 20.10 wrote: no bytes of the manifests are kept.
$M create --insecure $R:1 $R:amd64 $R:arm64
written_by_docker_20
$M inspect $R:1
$M inspect $R:1 $R:amd64
$M push --insecure $R:1
$M push --insecure --purge $R:1
