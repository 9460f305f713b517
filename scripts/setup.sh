#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install the Debian packages that a set of targets needs: setup.sh GROUP...
# Says what is missing before it installs; does nothing when nothing is. Services
# that a package brings (redis-server, nginx) are not started.
set -eu

packages() {
    case $1 in
    build) echo gcc libc6-dev binutils meson ninja-build pkg-config python3-minimal libpython3-stdlib \
                libslirp-dev libglib2.0-dev libjson-c-dev libmicrohttpd-dev libseccomp-dev libelf-dev libdw-dev liburing-dev zlib1g-dev ;;
    run) echo qemu-system-x86 erofs-utils redis-server redis-tools ;;
    check) echo clang-14 llvm-14 libclang-rt-14-dev clang-format clang-tidy cppcheck nginx-light memcached wrk curl \
                iproute2 gdb libc6-dbg strace tcpdump tshark fakeroot procps perl git make prometheus postgresql-15 postgresql-client-15 sysbench \
                libgomp1 fio libbpf-dev ;;
    languages) echo g++ golang-go php-cli luajit lua-socket ;;
    soak) echo ruby lua5.4 nodejs openjdk-17-jdk-headless rustc erlang-base ocaml-nox ghc libghc-network-dev \
               libpython3.11-testsuite stress-ng guile-3.0 sbcl gforth swi-prolog-nox tcl xz-utils zstd pigz imagemagick sqlite3 \
               gnupg dbus-daemon dbus-bin tmux ;;
    bench) echo linux-image-cloud-amd64 linux-image-amd64 busybox-static cpio iperf3 runsc crun ;;
    *) echo "setup.sh: unknown group '$1'" >&2; exit 2 ;;
    esac
}

want=$(for group; do packages "$group"; done)
missing=
# shellcheck disable=SC2086
installed=$(dpkg-query -W -f '${Package} ${Status}\n' $want 2>/dev/null | awk '$4 == "installed" { print $1 }')
for p in $want; do
    echo "$installed" | grep -qx "$p" || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

echo "Installing Debian packages:$missing"
as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "setup.sh: run as root: apt-get install$missing" >&2; exit 1; }
    as_root=sudo
fi
policy=/usr/sbin/policy-rc.d # tells Debian's packages not to start their services
if [ ! -e $policy ]; then
    trap '$as_root rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
fi
log=$(mktemp)
# shellcheck disable=SC2086
if ! { $as_root apt-get -q update && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    echo "setup.sh: apt-get failed (above)" >&2
    exit 1
fi
rm -f "$log"
