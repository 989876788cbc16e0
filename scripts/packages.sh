# shellcheck shell=sh
# Sourced: installs Debian packages, where that is possible and allowed.

say() { echo "$*" >&2; }

# may_install: root on a machine with apt.
may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

# apt_install PACKAGE...: mirrors fail now and then, so three tries. The services that
# come with the packages are not started: policy-rc.d is Debian's way to say so.
apt_install() {
	policy=/usr/sbin/policy-rc.d
	made=
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		made=yes
	fi
	result=1
	for try in 1 2 3; do
		say "installing $* (try $try)"
		if apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			-o Dpkg::Options::=--force-confold "$@" </dev/null >&2; then
			result=0
			break
		fi
	done
	[ -z "$made" ] || rm -f "$policy"
	return $result
}

# have_postgresql: the server's programs, wherever packages put them.
have_postgresql() {
	for postgres in /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres; do
		[ -x "$postgres" ] && return 0
	done
	command -v postgres >/dev/null 2>&1
}

# install_postgresql PACKAGE: without the cluster that Debian makes and starts.
install_postgresql() {
	conf=/etc/postgresql-common/createcluster.conf
	apt_install postgresql-common || return 1
	saved=
	if [ -f "$conf" ]; then
		saved=$(mktemp)
		cp -p "$conf" "$saved"
	fi
	mkdir -p "$(dirname "$conf")"
	echo 'create_main_cluster = false' >>"$conf"
	status=0
	apt_install "$1" || status=1
	if [ -n "$saved" ]; then
		cp -p "$saved" "$conf"
		rm -f "$saved"
	fi
	return $status
}
