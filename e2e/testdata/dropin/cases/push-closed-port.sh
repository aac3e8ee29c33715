# A registry that does not answer: the list is kept.
$M create --insecure $R:1 $R:amd64
under_hub_name 1 $R 127.0.0.1:1/app
$M push --insecure --purge 127.0.0.1:1/app:1
$M inspect 127.0.0.1:1/app:1
