# A list that states no platform for an image.
# in turns: no (every command is alone)
$M inspect --insecure $R:bare
$M inspect --insecure -v $R:bare
