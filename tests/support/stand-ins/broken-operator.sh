#!/bin/sh
# An operator that does not start.
echo 'no such flag' >&2
exit 2
