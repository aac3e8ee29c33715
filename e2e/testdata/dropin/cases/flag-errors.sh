# Flags that do not exist, lack a value or have an invalid one.
# in turns: no (each command stands alone)
$M --bogus
$M create --bogus $R:1 $R:amd64
$M create --amend=maybe $R:1 $R:amd64
$M create -x $R:1 $R:amd64
$M create --insecure=2 $R:1 $R:amd64
$M annotate --bogus $R:1 $R:amd64
$M annotate $R:1 $R:amd64 --os
$M annotate $R:1 $R:amd64 --insecure
$M inspect --bogus $R:1
$M inspect --verbose=maybe $R:1
$M push --bogus $R:1
$M push --purge=maybe $R:1
$M rm --bogus $R:1
$M rm --insecure $R:1
$M rm --force $R:1
