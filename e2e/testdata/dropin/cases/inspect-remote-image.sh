# An image of a registry, by tag and by digest.
# in turns: no (every command is alone)
$M inspect --insecure $R:amd64
$M inspect --insecure -v $R:amd64
$M inspect --insecure -v $R@$amd64
$M inspect --insecure $R:indented
$M inspect --insecure -v $R:spaced
