# A list of a registry, by tag and by digest.
# in turns: no (every command is alone)
$M inspect --insecure $R:list
$M inspect --insecure $R@$list
$M inspect --insecure --verbose $R:list
$M inspect --insecure --verbose $R@$list
