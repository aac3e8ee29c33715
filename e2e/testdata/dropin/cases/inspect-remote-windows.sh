# Foreign layers are shown.
# in turns: no (every command is alone)
$M inspect --insecure $R:windows25
$M inspect --insecure -v $R:windows25
