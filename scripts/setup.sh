#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs what Sallyport needs to be built, tested and tried out, from Debian 12's own packages.
# Quick and silent about it when nothing is missing. Starts no service: of runit only runsv is used.
#
#   scripts/setup.sh            install what is missing (root)
#   scripts/setup.sh --vm       also what runs a small virtual machine (90 MB), if it can be had
#   scripts/setup.sh --check    only say what is missing; exit 1 if anything is
#   scripts/setup.sh --list     print the package names
#
# docs/dependencies.md says what each of them is for.
set -euo pipefail

build=(build-essential pkg-config meson ninja-build
	libdpdk-dev libipsec-mb-dev libsodium-dev libssl-dev libyaml-dev libjansson-dev
	libevent-dev libnl-3-dev libnftables-dev libqrencode-dev libsqlite3-dev uthash-dev
	libpcap-dev libncurses-dev libarchive-dev)
tests=(libcmocka-dev python3 python3-pytest python3-scapy python3-yaml python3-jsonschema dpdk-dev valgrind)
lint=(gcovr clang clang-format clang-tidy libclang-rt-14-dev cppcheck codespell shellcheck)
lab=(wireguard-go wireguard-tools runit iproute2 nftables ethtool iperf3 iputils-ping iputils-tracepath curl
	tcpdump tshark traceroute procps util-linux dnsmasq-base udhcpc dropbear-bin faketime openssl zbar-tools)
docs=(scdoc bash-completion)
shells=(zsh fish) # with bash: completion is tried in each of them
packaging=(debhelper lintian systemd)
vm=(qemu-system-x86 busybox-static) # only with --vm: tests without it are skipped
packages=("${build[@]}" "${tests[@]}" "${lint[@]}" "${lab[@]}" "${docs[@]}" "${shells[@]}" "${packaging[@]}")

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

# The packages of the list that are not installed, one per line.
missing()
{
	local installed
	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null |
		sed -n 's/^installed //p' || true)
	printf '%s\n' "${packages[@]}" | grep -Fxv -f <(printf '%s\n' "$installed") || true
}

# True if apt knows a version of every package given.
apt_knows_all()
{
	local known
	known=$(apt-cache policy "$@" 2>/dev/null | grep -c '^  Candidate: [0-9]' || true)
	[ "$known" -eq "$#" ]
}

apt_update()
{
	say 'refreshing the package lists (apt-get update) ...'
	apt-get update -qq || die 'apt-get update failed: is there a network, and a Debian mirror in /etc/apt/sources.list*?'
}

apt_install()
{
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
		-o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" 2>&1 |
		awk '/^(Get:|Unpacking |Setting up )/ {
			n++
			if (n % 25 == 0) { printf "setup:   ... %d steps, now: %s\n", n, substr($0, 1, 70); fflush() }
		}
		/^(E|W):/ { print "setup:   " $0; fflush() }'
}

check_system()
{
	local id='' version=''
	command -v dpkg-query >/dev/null || die "this is not a Debian system; install the counterparts of: ${packages[*]}"
	# shellcheck source=/dev/null
	[ ! -r /etc/os-release ] || { id=$(. /etc/os-release && echo "${ID:-}") version=$(. /etc/os-release && echo "${VERSION_ID:-}"); }
	if [ "$id" != debian ] || [ "$version" != 12 ]; then
		say "note: made for and tested on Debian 12; this is ${id:-unknown} ${version:-}"
	fi
}

# Nothing depends on these: where they cannot be had, it is said and that is all.
install_vm()
{
	local want
	packages=("${vm[@]}")
	mapfile -t want < <(missing)
	[ ${#want[@]} -gt 0 ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		say "note: not root, so not installed: ${want[*]}"
		return 0
	fi
	say "installing for tests in a virtual machine: ${want[*]}"
	apt_knows_all "${want[@]}" || (apt_update) || true
	apt_install "${want[@]}" || say "note: cannot install ${want[*]}; tests that need them are skipped"
}

main()
{
	local want
	case "${1:-}" in
	--list) printf '%s\n' "${packages[@]}"; exit 0 ;;
	--vm) install_vm; exit 0 ;;
	--check | '') ;;
	*) die "unknown argument '$1' (see the head of scripts/setup.sh)" ;;
	esac

	command -v dpkg-query >/dev/null || check_system
	mapfile -t want < <(missing)
	if [ ${#want[@]} -eq 0 ]; then
		[ "${1:-}" != --check ] || say "all ${#packages[@]} packages are installed"
		exit 0
	fi
	if [ "${1:-}" = --check ]; then
		say "missing: ${want[*]}"
		exit 1
	fi
	check_system
	[ "$(id -u)" -eq 0 ] || die "missing packages, and installing them needs root:
  sudo apt-get install --no-install-recommends ${want[*]}"
	say "installing ${#want[@]} of ${#packages[@]} packages: ${want[*]}"
	apt_knows_all "${want[@]}" || apt_update
	if ! apt_install "${want[@]}"; then
		# Old package lists name versions that the mirror no longer has.
		apt_update
		apt_install "${want[@]}" || die "apt-get install failed; run by hand to see why:
  apt-get install --no-install-recommends ${want[*]}"
	fi
	mapfile -t want < <(missing)
	[ ${#want[@]} -eq 0 ] || die "still missing: ${want[*]}"
	say 'done'
}

main "$@"
