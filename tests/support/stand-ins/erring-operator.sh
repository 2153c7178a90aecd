#!/bin/sh
# An operator with an error of its own.
echo '{"level":"ERROR","message":"it has an error"}' >&2
echo '{"level":"INFO","message":"admin server listening","address":"127.0.0.1:1","metrics_address":"127.0.0.1:2"}' >&2
while read -r _; do :; done
