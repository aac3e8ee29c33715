# Push without a tag.
$M create --insecure $R $R:amd64
$M push --insecure $R
