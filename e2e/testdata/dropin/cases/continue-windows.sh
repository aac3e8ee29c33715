# Windows images.
$M create --insecure $R:1 $R:windows19 $O:windows25
$M annotate $R:1 $O:windows25 --os-version 10.0.1 --os-features win32k
$M inspect $R:1
$M push --insecure $R:1
$M rm $R:1
