# DOCKER_CONFIG may name another folder.
plugins=$config/cli-plugins
config=$HOME/some/where
export DOCKER_CONFIG=$config
mkdir -p $config && cp -R "$plugins" $config
$M create --insecure $R:1 $R:amd64
$M inspect $R:1
$M rm $R:1
