# Foreign layers are shown.
# in turns: no (each command stands alone)
$M inspect --insecure $R:windows25
$M inspect --insecure -v $R:windows25
