#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gdb.sh BUILD PROGRAM: start PROGRAM in a machine that waits, and Debian's gdb on
# it with the kernel's symbols (QEMU's gdb stub).
set -eu
build=$1
shift
port=$((20000 + $$ % 10000))
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; kill $machine 2>/dev/null || true' EXIT
real=$(command -v qemu-system-x86_64)
printf '#!/bin/sh\nexec %s "$@" -S -gdb tcp:127.0.0.1:%d\n' "$real" "$port" >"$tmp/qemu-system-x86_64"
chmod +x "$tmp/qemu-system-x86_64"
# shellcheck disable=SC2086
PATH="$tmp:$PATH" "$build/drupe" run --on qemu $* &
machine=$!
sleep 1
gdb -q -ex "target remote 127.0.0.1:$port" "$(find "$build" -name drupe-kernel -type f | head -n 1)"
