#!/bin/sh
# In the operator's place where the harness itself is tested.
trap 'echo stopping >&2; exit 7' TERM
echo "args: $*" >&2
test -r "$KUBECONFIG" || exit 1
echo '{"level":"INFO","fields":{"message":"admin server listening","address":"127.0.0.1:1","metrics_address":"127.0.0.1:2"}}' >&2
# Stays, without a child of its own that could be left behind.
while read -r _; do :; done
