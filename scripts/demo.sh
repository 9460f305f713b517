#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job: Debian's redis-server as a unikernel, driven by Debian's redis-cli and
# redis-benchmark through a published port. demo.sh BUILD
set -eu
drupe=$1/drupe
work=$(mktemp -d)
machine=
trap 'end' EXIT
trap 'exit 130' INT TERM
end() {
    [ -z "$machine" ] || kill "$machine" 2>/dev/null || true
    rm -rf "$work"
}

now() { date +%s%N; }
begun=$(now)
step() { # step TEXT: what comes next; took: how long the last one lasted
    printf '%s\n' "$1"
    mark=$(now)
}
took() { printf '    took %d.%03d s\n' $((($(now) - mark) / 1000000000)) $((($(now) - mark) / 1000000 % 1000)); }
show() { sed 's/^/    | /'; }

port=6379
while ss -Hltn "sport = :$port" 2>/dev/null | grep -q .; do port=$((port + 1)); done

step "1. Image: redis-server with its libraries and package files"
"$drupe" build -o "$work/redis.img" redis-server --save '' --protected-mode no
ls -l "$work/redis.img" | awk '{ print "    redis.img, " $5 " bytes" }'
fsck.erofs "$work/redis.img" >"$work/fsck" 2>&1 || { cat "$work/fsck"; exit 1; }
took

step "2. Start: drupe run -p $port:6379 redis.img"
"$drupe" run -V -p "$port:6379" "$work/redis.img" >"$work/log" 2>&1 &
machine=$!
tries=0
until redis-cli -p "$port" ping >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 300 ] || ! kill -0 "$machine" 2>/dev/null; then
        echo "redis-server did not answer; its output:"
        show <"$work/log"
        exit 1
    fi
    sleep 0.05
done
took
grep -m 1 '^drupe: on:' "$work/log" | show
grep '^[0-9]*:' "$work/log" | head -n 3 | show

step "3. redis-cli"
redis-cli -p "$port" set fruit drupe | show
redis-cli -p "$port" get fruit | show
redis-cli -p "$port" info server | grep -E '^(redis_version|os|process_id|uptime_in_seconds)' | tr -d '\r' | show
[ "$(redis-cli -p "$port" get fruit)" = drupe ]
took

step "4. redis-benchmark, 50 connections"
redis-benchmark -p "$port" -c 50 -n 10000 -t set,get -q | tr '\r' '\n' | grep 'per second' | show
took

step "5. Stop (SIGINT, as ^C does)"
kill -INT "$machine"
status=0
wait "$machine" || status=$?
machine=
tail -n 2 "$work/log" | show
echo "    exit status $status"
took
[ $status = 0 ]
printf 'Done in %d.%d s.\n' $((($(now) - begun) / 1000000000)) $((($(now) - begun) / 100000000 % 10))
