# Invalid references.
# in turns: no (each command stands alone)
$M create --insecure $R:1 $R:
$M create --insecure $R: $R:amd64
$M create --insecure $R:1 'two words'
$M create --insecure $R:1 ''
$M create --insecure '' $R:amd64
$M create --insecure $R:1 $R:UPPER/case
$M create --insecure $R/UPPER:1 $R:amd64
$M create --insecure $R:1 $R@sha256:12
$M create --insecure $R:1 -- -x
