#!/bin/sh
# Ends with an explanation when there is no Go. An older Go fetches the one that
# go.mod names by itself.
set -eu
if ! command -v go >/dev/null 2>&1; then
	echo "Go is needed to build: install it from https://go.dev/dl/ (version 1.26 or newer)" >&2
	exit 1
fi
