# Two images for one platform are accepted: one may be annotated later.
$M create --insecure $R:1 $R:amd64 $R:amd64b
$M push --insecure $R:1
$M annotate $R:1 $R:amd64b --variant v3
$M push --insecure $R:1
