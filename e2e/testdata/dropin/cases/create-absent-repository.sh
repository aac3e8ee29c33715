# A repository that does not exist.
$M create --insecure $R:1 $O/absent:1
$M inspect --insecure $O/absent:1
