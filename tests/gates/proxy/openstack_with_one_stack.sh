#!/bin/sh
# openstack stack VERB …: a client with one stack, whose name is the last word of `create`.
# The first argument is the folder that it keeps the stack in, the second what its `delete` runs.
folder=$1 delete=$2
shift 2
[ "$OS_PASSWORD" = s3cr3t ] && [ -n "$OS_CLIENT_CONFIG_FILE" ] || exit 3
for last; do :; done
case $2 in
create) echo "$last" > "$folder/stack" ;;
list) cat "$folder/stack" 2>/dev/null || true ;;
show) echo '{"stack_status": "CREATE_COMPLETE"}' ;;
delete) eval "$delete" ;;
esac
