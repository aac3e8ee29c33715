# A tag moves from an image to a list that has the image.
$M create --insecure $R:amd64 $R:again $R:amd64
$M push --insecure $R:amd64
$M inspect --insecure $R@$amd64
