# Docker Hub's names: short, with library, with host, with and without tag.
$M create --insecure $R:latest $R:amd64 $R:arm64
under_hub_name latest $R docker.io/library/tool
under_hub_name latest $R docker.io/team/tool
$M inspect tool
$M inspect library/tool:latest
$M inspect -v docker.io/library/tool
$M inspect tool tool:amd64
$M annotate tool docker.io/tool:arm64 --variant v9
$M annotate index.docker.io/tool library/tool:amd64 --variant v2
$M inspect team/tool:latest docker.io/team/tool:amd64
$M create tool team/tool:amd64
$M rm tool team/tool docker.io/library/tool
