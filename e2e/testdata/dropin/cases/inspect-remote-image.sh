# An image in a registry, by tag and by digest.
# in turns: no (each command stands alone)
$M inspect --insecure $R:amd64
$M inspect --insecure -v $R:amd64
$M inspect --insecure -v $R@$amd64
$M inspect --insecure $R:indented
$M inspect --insecure -v $R:spaced
