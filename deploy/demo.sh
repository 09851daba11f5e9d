#!/usr/bin/env bash
# A simulated cluster of 20 hosts on loopback, one of them too slow and one dead, and heapster standalone
# watching it. Ctrl-C ends both. Uses the release binaries, or those in the folder $HEAPSTER_BIN.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bin=${HEAPSTER_BIN:-target/release}
hosts=$(mktemp --suffix=.json)
"$bin/heapster-sim" --hosts 20 --port 4194 --behave 1=refuses --behave 1=slow:5s --write-hosts "$hosts" &
sim=$!
trap 'kill "$sim" 2>/dev/null || true; rm -f "$hosts"' EXIT
until [ -s "$hosts" ]; do
    kill -0 "$sim" || exit 1
    sleep 0.1
done
"$bin/heapster" standalone --cluster demo --discovery "static:$hosts" --source 'cadvisor?port=4194' \
    --resolution 5s "$@"
