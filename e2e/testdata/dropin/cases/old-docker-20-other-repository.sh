# Its children come from another repository, indented as docker push does.
$M create --insecure $R:1 $O:indented
written_by_docker_20
$M push --insecure --purge $R:1
$M inspect --insecure -v $R:1
