#!/bin/bash
# Puts the programs that the end-to-end tests start into a cache folder, without
# changing the machine: Debian packages are unpacked there, not installed, so no
# service is started and the docker command on PATH is not replaced.
#
#   e2e/install.sh [FOLDER]         FOLDER: default .cache of the project
#
#   FOLDER/debian/...    dockerd (graph-driver store), containerd, runc, podman, docker-registry, busybox, iptables
#   FOLDER/images/...    Debian packages for amd64 and arm64, as files, of which tests make images
#   FOLDER/bin/...       dockerd (containerd store), its docker-proxy and runc, buildx, and crane, built from their modules
#
#   e2e/install.sh FOLDER peers     the programs that `make bench` compares with
#
#   FOLDER/bin/...       crane, regctl and oras, built from their modules
#   FOLDER/debian/...    skopeo
#
# What is not available (no apt, no Linux) is reported on stderr; the tests that
# need it are skipped, or fail with CI=true.
set -euo pipefail

dockerd_version=v2.0.0-beta.24
buildx_version=v0.38.2
crane_version=v0.22.1
regctl_version=v0.11.7
oras_version=v1.3.6
runc_version=v1.5.2
packages=(docker.io docker-registry containerd runc tini libdevmapper1.02.1 libseccomp2 libseccomp-dev
	busybox-static iptables libip4tc2 libip6tc2 libxtables12 libnftnl11 libmnl0 libnfnetlink0 libnetfilter-conntrack3
	jq libjq1 libonig5 podman conmon libglib2.0-0 libgpgme11 libassuan0 libgpg-error0 libsubid4)
image_packages=(busybox-static bash libc6 libtinfo6 python3-minimal musl)
peer_packages=(skopeo libdevmapper1.02.1 libgpgme11 libassuan0 libgpg-error0)

root=$(cd "$(dirname "$0")/.." && pwd)
export CGO_ENABLED=0
cache=$(mkdir -p "${1:-$root/.cache}" && cd "${1:-$root/.cache}" && pwd)

report() { echo "install: $*" >&2; }

# lists WORK [ARCHITECTURE...]: fetch the package lists, into a folder of our own, so that root is not needed. It sets
# the options of apt.
lists() {
	local work=$1 arch
	mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/debs" "$work/root"
	options=(-qq -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o Debug::NoLocking=1
		-o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=3)
	for arch in "${@:2}"; do
		options+=(-o "APT::Architectures::=$arch")
	done
	apt-get "${options[@]}" update
}

# debian DIR: download the packages and unpack them into DIR.
debian() {
	local dir=$1 work options
	work=$(mktemp -d "$cache/apt.XXXXXX")
	lists "$work"
	(cd "$work/debs" && apt-get "${options[@]}" download "${packages[@]}")
	local deb
	for deb in "$work"/debs/*.deb; do
		dpkg-deb -x "$deb" "$work/root"
	done
	if [[ -e $work/root/usr/sbin/xtables-nft-multi ]]; then # Debian's alternatives link to it
		ln -s xtables-nft-multi "$work/root/usr/sbin/iptables"
		ln -s xtables-nft-multi "$work/root/usr/sbin/ip6tables"
	fi
	echo "${packages[*]}" >"$work/root/packages"
	rm -rf "$dir"
	mv "$work/root" "$dir"
	rm -rf "$work"
}

# images DIR: download packages for two architectures into DIR, as NAME_ARCHITECTURE.deb. What python3-minimal
# depends on has the version in its name, and is python_ARCHITECTURE.deb.
images() {
	local dir=$1 work options arch python deb
	work=$(mktemp -d "$cache/apt.XXXXXX")
	lists "$work" amd64 arm64
	python=$(apt-cache "${options[@]}" depends python3-minimal | sed -n 's/.*Depends: \(python3\.[0-9]*-minimal\).*/\1/p' | head -n 1)
	for arch in amd64 arm64; do
		(cd "$work/debs" && apt-get "${options[@]}" download "${image_packages[@]/%/:$arch}" "$python:$arch")
	done
	for deb in "$work"/debs/*.deb; do
		arch=${deb##*_}
		deb=${deb##*/}
		deb=${deb%%_*}
		mv "$work/debs/$deb"_*_"$arch" "$work/root/${deb/#$python/python}_$arch"
	done
	echo "${image_packages[*]}" >"$work/root/packages"
	rm -rf "$dir"
	mv "$work/root" "$dir"
	rm -rf "$work"
}

# module NAME VERSION PACKAGE [FLAGS...]: build a program of a module, unless the
# cache has that version.
module() {
	local name=$1 version=$2 package=$3
	shift 3
	if [[ -x $cache/bin/$name-$version ]]; then
		return
	fi
	report "building $name $version"
	local work
	work=$(mktemp -d "$cache/go.XXXXXX")
	GOBIN=$work GOFLAGS=-trimpath go install "$@" "$package@$version"
	mkdir -p "$cache/bin"
	mv "$work/$name" "$cache/bin/$name-$version"
	rm -rf "$work"
}

# runc: build a newer one than Debian's, which is too old for a current dockerd,
# with Debian's libseccomp, without pkg-config.
runc() {
	local libraries
	libraries=$(echo "$cache"/debian/usr/lib/*-linux-gnu*)
	CGO_ENABLED=1 PKG_CONFIG=true CGO_CFLAGS="-I$cache/debian/usr/include" CGO_LDFLAGS="-L$libraries -lseccomp" \
		module runc $runc_version github.com/opencontainers/runc -tags seccomp -ldflags "-s -w"
	ln -sf "runc-$runc_version" "$cache/bin/runc"
}

# skopeo: write a command that runs the unpacked skopeo with its libraries.
skopeo() {
	cat >"$cache/bin/skopeo" <<-'END'
		#!/bin/bash
		debian=$(dirname "$0")/../debian
		libraries=$(echo "$debian"/lib/*-linux-gnu* "$debian"/usr/lib/*-linux-gnu*)
		LD_LIBRARY_PATH=${libraries// /:} exec "$debian/usr/bin/skopeo" "$@"
	END
	chmod +x "$cache/bin/skopeo"
}

what=${2:-tests}
without="tests that need Debian's daemon, containerd or registry will be skipped"
if [[ $what == peers ]]; then
	packages=("${peer_packages[@]}")
	without="skopeo will be absent"
elif [[ $(uname -s) != Linux ]]; then
	report "daemons run on Linux only: tests that need one will be skipped"
	exit 0
fi

# provide DIR FUNCTION PACKAGES: download packages in the background, unless DIR has them.
fetch=()
provide() {
	if [[ -e $1/packages && $(<"$1/packages") == "$3" ]]; then
		:
	elif command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
		report "downloading $3"
		"$2" "$1" &
		fetch+=($!)
	else
		report "no apt-get here: $without"
	fi
}

# The Debian packages are downloaded while the modules are compiled.
provide "$cache/debian" debian "${packages[*]}"
[[ $what == peers ]] || provide "$cache/images" images "${image_packages[*]}"
if [[ $what == peers ]]; then
	module crane $crane_version github.com/google/go-containerregistry/cmd/crane
	module regctl $regctl_version github.com/regclient/regclient/cmd/regctl
	module oras $oras_version oras.land/oras/cmd/oras
else
	module dockerd $dockerd_version github.com/moby/moby/v2/cmd/dockerd \
		-tags "exclude_graphdriver_btrfs no_systemd" \
		-ldflags "-s -w -X github.com/moby/moby/v2/dockerversion.Version=$dockerd_version"
	module docker-proxy $dockerd_version github.com/moby/moby/v2/cmd/docker-proxy -ldflags "-s -w"
	module buildx $buildx_version github.com/docker/buildx/cmd/buildx -ldflags "-s -w"
	module crane $crane_version github.com/google/go-containerregistry/cmd/crane
fi
for job in "${fetch[@]}"; do
	if ! wait "$job"; then
		report "the Debian packages could not be downloaded"
		exit 1
	fi
done
if [[ $what == peers ]]; then
	ln -sf "crane-$crane_version" "$cache/bin/crane"
	ln -sf "regctl-$regctl_version" "$cache/bin/regctl"
	ln -sf "oras-$oras_version" "$cache/bin/oras"
	[[ ! -x $cache/debian/usr/bin/skopeo ]] || skopeo
else
	ln -sf "dockerd-$dockerd_version" "$cache/bin/dockerd"
	ln -sf "docker-proxy-$dockerd_version" "$cache/bin/docker-proxy"
	[[ ! -e $cache/debian/usr/include/seccomp.h ]] || runc
	ln -sf "buildx-$buildx_version" "$cache/bin/docker-buildx"
	ln -sf "crane-$crane_version" "$cache/bin/crane"
fi
