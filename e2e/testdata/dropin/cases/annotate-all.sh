# All flags at once, after the arguments too.
$M create --insecure $R:1 $R:amd64 $R:arm64
$M annotate $R:1 $R:amd64 --os windows --arch 386 --variant v1 --os-version 10.0 --os-features win32k
$M annotate $R:1 --arch=arm $R:arm64 --variant=v7
$M inspect $R:1 $R:amd64
$M inspect -v $R:1 $R:amd64
$M push --insecure $R:1
