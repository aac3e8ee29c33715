# Too few arguments, and too many.
# in turns: no (each command stands alone)
$M create
$M create $R:1
$M annotate
$M annotate $R:1
$M annotate $R:1 $R:amd64 $R:arm64
$M inspect
$M inspect $R:1 $R:amd64 $R:arm64
$M push
$M push $R:1 $R:2
$M rm
