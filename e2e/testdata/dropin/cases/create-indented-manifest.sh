# Manifests are copied byte for byte, with their white space.
$M create --insecure $R:1 $O:indented $O:spaced
$M inspect -v $R:1
$M push --insecure $R:1
