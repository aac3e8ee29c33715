# rm of what is not there.
# in turns: no (every command is alone)
$M rm $R:1
$M rm $R:1 $R:2
$M rm $R:
$M rm ''
$M rm $R/UPPER
