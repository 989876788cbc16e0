#!/bin/sh
# Runs every test there is, each package once. As root it installs what the tests
# need; else it says what is missing. Needs no terminal and no input.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh
export GOFLAGS="${GOFLAGS:-}"

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

began=$(date +%s)
stage() { echo "== $* (after $(($(date +%s) - began)) s)" >&2; }

stage "format, vet, staticcheck"
scripts/lint.sh

# Rooms that hold goroutines run under the race detector, the rest without: it costs
# the simulations ten times their time and they have one goroutine.
racy='^matriarch/internal/(agent|api|daemon|dcs|demo|postgres|proxy|permit|store)(/|$)'
whole='^matriarch/test/'
all=$(go list ./...)
stage "rooms with goroutines, under the race detector"
# shellcheck disable=SC2046 # one argument a package
CGO_ENABLED=1 go test -count=1 -race -timeout 10m $(echo "$all" | grep -E "$racy")
stage "the other rooms"
# shellcheck disable=SC2046
go test -count=1 -timeout 10m $(echo "$all" | grep -Ev "$racy" | grep -Ev "$whole")
if echo "$all" | grep -qE "$whole"; then
	stage "whole clusters"
	# shellcheck disable=SC2046
	go test -count=1 -timeout 15m $(echo "$all" | grep -E "$whole")
fi
stage "the demonstration"
make --no-print-directory build
bin/matriarch demo --once --json
stage "all passed"
