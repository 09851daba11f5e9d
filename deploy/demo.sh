#!/usr/bin/env bash
# A simulated cluster of 20 hosts on loopback, and heapster standalone watching it. Ctrl-C ends both.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

hosts=$(mktemp --suffix=.json)
target/release/heapster-sim --hosts 20 --port 4194 --write-hosts "$hosts" &
sim=$!
trap 'kill "$sim" 2>/dev/null; rm -f "$hosts"' EXIT
until [ -s "$hosts" ]; do sleep 0.1; done
target/release/heapster standalone --cluster demo --discovery "static:$hosts" --source 'cadvisor?port=4194' --resolution 5s
