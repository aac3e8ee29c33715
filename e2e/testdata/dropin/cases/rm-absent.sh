# rm of an absent list.
# in turns: no (each command stands alone)
$M rm $R:1
$M rm $R:1 $R:2
$M rm $R:
$M rm ''
$M rm $R/UPPER
