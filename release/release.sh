#!/bin/bash
# Makes everything of a release but the binaries, which are in DIST: packages, SBOMs, an image, install.sh, the Homebrew
# formula, the lines for action.sums, and checksums. make release runs it, with
#
#   release/release.sh VERSION OWNER DIST TOOLS
#
# TOOLS is the folder with nfpm and cyclonedx-gomod. SOURCE_DATE_EPOCH is the time of all files: the same commit gives the
# same bytes.
set -euo pipefail

version=$1 owner=$2 dist=$3 tools=$4
url=https://github.com/$owner/docker-multiarch/releases/download/$version

binaries=$(cd "$dist" && ls docker-multiarch-*-* | grep -v -e '\.cdx\.json$' -e '\.sh$')
sums=$(cd "$dist" && sha256sum $binaries)

for binary in $binaries; do
	"$tools/cyclonedx-gomod" bin -json -noserial -notimestamp -version "$version" -output "$dist/$binary.cdx.json" "$dist/$binary" 2>/dev/null
done

for arch in amd64 arm64 arm; do
	binary=docker-multiarch-linux-$arch
	[ -e "$dist/$binary" ] || continue
	for format in deb rpm apk; do
		PACKAGE_ARCH=${arch/%arm/arm7} VERSION=$version OWNER=$owner BINARY=$dist/$binary \
			"$tools/nfpm" package --config release/nfpm.yaml --packager "$format" --target "$dist" >/dev/null
	done
done

# The image with only the binary, for COPY --from: this program joins its platforms.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$work/docker-multiarch" ./cli-plugin
go run ./release/image "$version" "$owner" "$dist" "$work"
sources=$(cd "$work" && find . -name 'linux-*.tar' | sort | sed "s|^\.|docker-archive://$work|")
if [ -n "$sources" ]; then
	image=ghcr.io/${owner,,}/docker-multiarch:$version
	export DOCKER_CONFIG=$work/config
	"$work/docker-multiarch" multiarch create "$image" $sources
	"$work/docker-multiarch" multiarch push --to "oci-layout://$dist/docker-multiarch-image.tar" "$image"
fi

# fill replaces the placeholders of a template; a binary that was not made has no sum.
fill() {
	awk -v version="$version" -v number="${version#v}" -v owner="$owner" -v url="$url" -v sums="$sums" '
		BEGIN { n = split(sums, line, "\n"); for (i = 1; i <= n; i++) { split(line[i], part, /  /); sum[part[2]] = part[1] } }
		{
			gsub(/@VERSION@/, version); gsub(/@NUMBER@/, number); gsub(/@OWNER@/, owner); gsub(/@URL@/, url); gsub(/@SUMS@/, sums)
			while (match($0, /@SUM:[^@]*@/)) {
				name = substr($0, RSTART + 5, RLENGTH - 6)
				$0 = substr($0, 1, RSTART - 1) sum[name] substr($0, RSTART + RLENGTH)
			}
			print
		}' "$1"
}
fill release/install.sh.in >"$dist/install.sh"
fill release/docker-multiarch.rb.in >"$dist/docker-multiarch.rb"
echo "$sums" | sed "s/^/$version /" >"$dist/action.sums"

cd "$dist"
rm -f SHA256SUMS
sha256sum * >SHA256SUMS.new
mv SHA256SUMS.new SHA256SUMS
