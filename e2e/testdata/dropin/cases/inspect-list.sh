# A list, plain and verbose.
$M create --insecure $R:1 $R:arm64 $R:windows25
$M inspect $R:1
$M inspect --insecure --verbose $R:1
$M inspect --verbose=false $R:1
