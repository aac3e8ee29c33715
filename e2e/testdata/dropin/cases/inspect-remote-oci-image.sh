# An OCI image in a registry.
# in turns: no (each command stands alone)
$M inspect --insecure $R:ociarm64
$M inspect --insecure -v $R:ociarm64
