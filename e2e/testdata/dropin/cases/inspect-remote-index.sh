# An OCI index of a registry.
# in turns: no (every command is alone)
$M inspect --insecure $R:index
$M inspect --insecure -v $R:index
