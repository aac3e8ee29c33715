# A list in a registry, by tag and by digest.
# in turns: no (each command stands alone)
$M inspect --insecure $R:list
$M inspect --insecure $R@$list
$M inspect --insecure --verbose $R:list
$M inspect --insecure --verbose $R@$list
