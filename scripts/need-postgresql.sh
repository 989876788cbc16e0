#!/bin/sh
# Installs PostgreSQL when there is none and it may; else says what to do.
set -eu
# shellcheck source=scripts/packages.sh
. "$(dirname "$0")/packages.sh"

have_postgresql && exit 0
if may_install; then
	install_postgresql postgresql
	exit 0
fi
say "PostgreSQL 13 or newer is needed and was not found. Install it, for example:"
if command -v apt-get >/dev/null 2>&1; then
	say "    sudo apt-get install postgresql"
elif command -v dnf >/dev/null 2>&1; then
	say "    sudo dnf install postgresql-server postgresql-contrib"
else
	say "    (the package of your system that holds postgres and pg_rewind)"
fi
say "then run make demo again. The demonstration uses none of its services and none of its data."
exit 1
