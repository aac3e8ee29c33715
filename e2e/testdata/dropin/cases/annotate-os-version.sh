# Only --os-version.
$M create --insecure $R:1 $R:windows25
$M annotate --os-version 10.0.1 $R:1 $R:windows25
$M inspect $R:1
