# Without DOCKER_CONFIG the home's .docker is the place, as it is when that is empty.
unset DOCKER_CONFIG
$M create --insecure $R:1 $R:amd64
export DOCKER_CONFIG=
$M inspect $R:1
$M create --insecure --amend $R:1 $R:arm64
$M push --insecure --purge $R:1
