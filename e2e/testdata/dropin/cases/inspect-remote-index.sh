# An OCI index in a registry.
# in turns: no (each command stands alone)
$M inspect --insecure $R:index
$M inspect --insecure -v $R:index
