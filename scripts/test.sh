#!/bin/sh
# Runs every test there is, each package once; with arguments, those packages' only. As root it installs what the tests
# need; else it says what is missing. Needs no terminal and no input.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh

scripts/need-go.sh

# What is missing, in Debian's names.
missing=
[ -x /usr/lib/postgresql/15/bin/postgres ] || missing="$missing postgresql-15"
command -v etcd >/dev/null 2>&1 || missing="$missing etcd-server"
command -v etcdctl >/dev/null 2>&1 || missing="$missing etcd-client"
command -v git >/dev/null 2>&1 || missing="$missing git"
# The race detector is linked by a C compiler.
command -v gcc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
if [ -n "$missing" ]; then
	if ! may_install; then
		say "the tests need$missing: sudo apt-get install$missing"
		exit 1
	fi
	for package in $missing; do
		case $package in
		postgresql-15) install_postgresql "$package" ;;
		*) apt_install "$package" ;;
		esac
	done
fi

# Beside whom clusters are tested. Without it those tests are skipped.
if [ ! -x /usr/bin/patroni ] && may_install; then
	apt_install patroni || say "tests with Patroni's members are skipped: its package cannot be had"
fi

began=$(date +%s)
stage() { echo "== $* (after $(($(date +%s) - began)) s)" >&2; }

stage "format, vet, staticcheck"
scripts/lint.sh

# packages EXPRESSION: those of all whose name matches.
packages() { echo "$all" | grep -E "$1" || true; }
# run TITLE PACKAGES OPTION...: the packages are words.
run() {
	title=$1
	list=$2
	shift 2
	[ -n "$list" ] || return 0
	stage "$title"
	# shellcheck disable=SC2086
	go test -count=1 "$@" $list
}

# Rooms that hold goroutines run under the race detector, the rest without: it costs
# the simulations ten times their time and they have one goroutine.
racy='^matriarch/internal/(agent|api|callback|daemon|dcs|demo|fence|logs|postgres|proxy|permit|store)(/|$)'
whole='^matriarch/test/'
[ $# -gt 0 ] || set -- ./...
all=$(go list "$@")
export CGO_ENABLED=1
run "rooms with goroutines, under the race detector" "$(packages "$racy")" -race -timeout 10m
run "the other rooms" "$(echo "$all" | grep -Ev "$racy|$whole" || true)" -timeout 10m
# One package of clusters after the other: side by side they wait for each other's
# processors, and what is timed there tells nothing.
run "whole clusters" "$(packages "$whole")" -p 1 -timeout 20m
if [ "$*" != ./... ]; then
	stage "passed: $*"
	exit 0
fi
stage "the demonstration"
make --no-print-directory build
bin/matriarch demo --once --json
stage "all passed"
