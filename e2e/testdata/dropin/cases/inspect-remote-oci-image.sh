# An OCI image of a registry.
# in turns: no (every command is alone)
$M inspect --insecure $R:ociarm64
$M inspect --insecure -v $R:ociarm64
