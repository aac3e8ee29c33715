# A list written by an old docker, continued by both.
$M create --insecure $R:1 $R:amd64 $O:indented
written_by_docker_20
$M inspect $R:1
$M push --insecure $R:1
$M create --insecure --amend $R:1 $R:amd64 $O:indented
$M annotate $R:1 $O:indented --variant v2
$M push --insecure --purge $R:1
