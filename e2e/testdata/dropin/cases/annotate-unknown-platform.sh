# Unknown platforms are refused, and nothing changes.
$M create --insecure $R:1 $R:amd64 $R:nothing
$M annotate $R:1 $R:amd64 --os lunix
$M annotate $R:1 $R:amd64 --arch amd65
$M annotate $R:1 $R:amd64 --os windows --arch s390x
$M annotate $R:1 $R:amd64 --os-version 1 --os nowhere --arch never
$M annotate $R:1 $R:nothing --os linux
$M annotate $R:1 $R:nothing --arch arm64
$M inspect $R:1
