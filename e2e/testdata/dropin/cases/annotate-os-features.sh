# --os-features accumulates, without duplicates.
$M create --insecure $R:1 $R:amd64 $R:windows25
$M annotate --os-features one,two $R:1 $R:windows25
$M annotate --os-features two --os-features three $R:1 $R:windows25
$M annotate --os-features a,a $R:1 $R:windows25
$M inspect $R:1
$M push --insecure $R:1
