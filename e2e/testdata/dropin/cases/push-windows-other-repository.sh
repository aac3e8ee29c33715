# Foreign layers are not mounted.
$M create --insecure $R:1 $O:windows19 $O:windows25
$M push --insecure $R:1
$M inspect --insecure -v $R:1
