# Without DOCKER_CONFIG, or if it is empty, .docker of the home is used.
unset DOCKER_CONFIG
$M create --insecure $R:1 $R:amd64
export DOCKER_CONFIG=
$M inspect $R:1
$M create --insecure --amend $R:1 $R:arm64
$M push --insecure --purge $R:1
