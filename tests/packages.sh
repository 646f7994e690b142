# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by tests/run.sh and examples/quickstart.sh: the Debian packages that
# are needed, and their installation (12 and 13, from main).
#
#	packages_need PACKAGE...	installs those missing, or returns 1
#	packages_want PACKAGE...	the same, one by one; those that can't be
#					had are named in $packages_absent

packages_build="autoconf automake make gcc libc6-dev pkg-config xsltproc
	libevent-dev libxml2-dev libsnmp-dev libpcap-dev zlib1g-dev
	libssl-dev libgnutls28-dev libusrsctp-dev libmaxminddb-dev"
packages_absent=
packages_updated=

packages_there()
{
	dpkg-query -W -f='${Status}' "$1" 2>/dev/null |
		grep -q '^install ok installed'
}

# packages_missing PACKAGE...: prints those that are not installed
packages_missing()
{
	for package in "$@"; do
		packages_there "$package" || echo "$package"
	done
}

# As root, or with sudo.
packages_apt()
{
	if [ "$(id -u)" -eq 0 ]; then
		env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"
	else
		echo "not root, and there is no sudo" >&2
		return 1
	fi </dev/null
}

packages_install()
{
	if [ -z "$packages_updated" ]; then
		packages_apt apt-get -q update || return 1
		packages_updated=yes
	fi
	packages_apt apt-get -q -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 install "$@"
}

packages_need()
{
	missing=$(packages_missing "$@" | tr '\n' ' ')
	[ -z "$missing" ] && return 0
	echo "installing: $missing" >&2
	# shellcheck disable=SC2086 # a list of names
	packages_install $missing && return 0
	echo "These packages are missing; root can install them with" >&2
	echo "    apt-get install $missing" >&2
	return 1
}

packages_want()
{
	missing=$(packages_missing "$@" | tr '\n' ' ')
	[ -z "$missing" ] && return 0
	echo "installing: $missing" >&2
	# All at once is much faster, but fails as a whole.
	# shellcheck disable=SC2086
	packages_install $missing && return 0
	for package in $missing; do
		packages_install "$package" ||
			packages_absent="$packages_absent $package"
	done
	return 0
}
