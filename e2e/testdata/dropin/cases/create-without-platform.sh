# An image whose config has no platform is accepted, and refused at push.
$M create --insecure $R:1 $R:amd64 $R:nothing
$M inspect $R:1
$M push --insecure $R:1
$M push --insecure --purge $R:1
$M annotate $R:1 $R:nothing --os linux --arch arm64
$M push --insecure --purge $R:1
