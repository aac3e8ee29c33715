# A registry that does not answer.
$M create --insecure 127.0.0.1:1/app:1 127.0.0.1:1/app:amd64
$M inspect --insecure 127.0.0.1:1/app:1
