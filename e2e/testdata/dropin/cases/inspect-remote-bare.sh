# A list without the platform of an image.
# in turns: no (each command stands alone)
$M inspect --insecure $R:bare
$M inspect --insecure -v $R:bare
