# No flag and empty flags change nothing.
$M create --insecure $R:1 $R:arm64
$M annotate $R:1 $R:arm64
$M annotate $R:1 $R:arm64 --os '' --arch '' --variant '' --os-version '' --os-features ''
$M inspect $R:1
