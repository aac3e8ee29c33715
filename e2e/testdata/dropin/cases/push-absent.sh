# No such list, and no list at all.
# in turns: no (each command stands alone)
$M push --insecure $R:1
$M push --insecure $R:amd64
$M push --insecure $R:
$M push --insecure $R/UPPER:1
$M push --insecure ''
