# Windows images: OS versions, features, foreign layers.
$M create --insecure $R:1 $R:amd64 $R:windows19 $R:windows25
$M inspect $R:1
$M push --insecure $R:1
