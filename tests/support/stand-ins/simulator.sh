#!/bin/sh
# In the simulator's place where the harness itself is tested.
echo '{"listen":"127.0.0.1:1","control":"127.0.0.1:2","caFile":"/ca.pem"}'
while read -r _; do :; done
