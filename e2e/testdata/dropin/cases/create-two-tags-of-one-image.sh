# Two tags of one image are two entries.
$M create --insecure $R:1 $R:again $R:amd64
$M push --insecure $R:1
