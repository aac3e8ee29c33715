# A list of one image.
$M create --insecure $R:1 $R:amd64
$M inspect $R:1
