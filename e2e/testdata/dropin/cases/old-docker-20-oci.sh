# OCI children without their raw manifests.
$M create --insecure $R:1 $R:ociamd64 $R:ociarm64
written_by_docker_20
$M inspect $R:1
$M push --insecure $R:1
