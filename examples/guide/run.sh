#!/bin/sh
# Runs the guide's three nodes on this machine: an etcd, three agents, and the list
# of members until Ctrl-C. Stops and removes everything in the end.
#
#	sudo examples/guide/run.sh          until Ctrl-C
#	sudo examples/guide/run.sh --once   until all members stream, then end
set -eu

here=$(cd "$(dirname "$0")" && pwd)
matriarch=${MATRIARCH:-$here/../../bin/matriarch}
base=/var/lib/matriarch-example # as in node*.yml
user=postgres

fail() {
	echo "run.sh: $*" >&2
	exit 1
}
[ "$(id -u)" = 0 ] || fail "must be root: it makes $base and runs the nodes as user $user"
[ -x "$matriarch" ] || fail "$matriarch is missing: make build, or set MATRIARCH"
[ -x /usr/lib/postgresql/15/bin/postgres ] || fail "PostgreSQL 15 is missing: apt-get install postgresql-15, or change bin_dir in node*.yml"
command -v etcd >/dev/null || fail "etcd is missing: apt-get install etcd-server"
id "$user" >/dev/null 2>&1 || fail "there is no user $user"
[ ! -e "$base" ] || fail "$base is there already: is another example running? Else remove it"

# taken PORT: something listens there on all addresses or on one of the nodes', by
# /proc/net/tcp (proc(5)): hexadecimal, the address's bytes reversed, 0A is LISTEN.
taken() {
	grep -qiE ": (00000000|1F6E007F|206E007F|A46E007F):$(printf %04X "$1") [0-9A-F:]+ 0A " /proc/net/tcp
}
for port in 2379 2380 5432 8008; do
	! taken "$port" || fail "port $port of the nodes' addresses is taken by another server"
done

pids=
etcd=
stop() {
	trap '' INT TERM
	echo "stopping"
	# The last one started first, etcd at the end: every agent still finds it.
	for pid in $pids $etcd; do
		kill -TERM "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$base"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The binary is copied: user postgres may not be able to enter the place it is in.
install -d -m 0711 -o "$user" -g "$user" "$base" # the guards keep their files beside the data directories
install -d -m 0700 -o "$user" -g "$user" "$base/archive" "$base/etcd" "$base/log"
install -m 0755 "$matriarch" "$base/matriarch"

# as_user NAME COMMAND...: in a session of its own, so that Ctrl-C reaches only this
# script. HOME differs, since each agent keeps its password file there.
as_user() {
	name=$1
	shift
	install -d -m 0700 -o "$user" -g "$user" "$base/home-$name"
	exec setsid setpriv --reuid="$user" --regid="$user" --init-groups \
		env -i PATH="$PATH" HOME="$base/home-$name" LC_ALL=C.UTF-8 "$@" >>"$base/log/$name.log" 2>&1 </dev/null
}

echo "starting etcd"
as_user etcd etcd --name guide --data-dir "$base/etcd" \
	--listen-client-urls http://127.0.110.31:2379 --advertise-client-urls http://127.0.110.31:2379 \
	--listen-peer-urls http://127.0.110.31:2380 --initial-advertise-peer-urls http://127.0.110.31:2380 \
	--initial-cluster guide=http://127.0.110.31:2380 &
etcd=$!

for n in 1 2 3; do
	install -d -m 0700 -o "$user" -g "$user" "$base/node$n"
	install -m 0600 -o "$user" -g "$user" "$here/node$n.yml" "$base/node$n.yml"
	echo "starting the agent of node$n"
	as_user "node$n" "$base/matriarch" run "$base/node$n.yml" &
	pids="$! $pids"
done

streaming() {
	"$base/matriarch" list -c "$base/node1.yml" -f tsv 2>/dev/null | grep -c streaming || true
}
left=120 # seconds until this has failed
until [ "$(streaming)" = 2 ]; do
	for pid in $pids $etcd; do
		kill -0 "$pid" 2>/dev/null || {
			tail -n 20 "$base"/log/*.log >&2
			fail "a process has ended by itself"
		}
	done
	left=$((left - 1))
	if [ "$left" = 0 ]; then
		tail -n 20 "$base"/log/*.log >&2
		fail "the standbys do not stream after two minutes"
	fi
	sleep 1
done
"$base/matriarch" list -c "$base/node1.yml"
[ "${1-}" != --once ] || exit 0

cat <<T
The password of postgres is in node*.yml. The primary, whichever node it is:
  psql 'host=127.0.110.31,127.0.110.32,127.0.110.164 user=postgres target_session_attrs=read-write'
Health checks:  curl -i http://127.0.110.31:8008/primary
Switchover:     $base/matriarch switchover -c $base/node1.yml
Logs:           $base/log
Ctrl-C stops and removes everything.
T
# In the background: a trap runs while the shell waits, but not before a command has ended.
"$base/matriarch" list -c "$base/node1.yml" -w 2 &
pids="$! $pids"
wait "$!"
