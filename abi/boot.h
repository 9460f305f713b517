/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an instance is told what to run. The configuration is an OCI runtime-spec
 * config.json (process.args, env, cwd, user, rlimits, terminal; hostname; mounts;
 * annotations). It lies in the image at BOOT_CONFIG_PATH; a module (initrd) given
 * beside the kernel replaces it whole. With drupe.fwcfg= QEMU's file BOOT_FWCFG_CONFIG does so, and the module, if
 * there is one, is the root image.
 *
 * Kernel command line, beside what the machine adds (virtio_mmio.device=...):
 *   drupe.log=error|warn|info|debug   console log level (default warn)
 *   drupe.exit=PORT                   isa-debug-exit I/O port, hexadecimal
 *   drupe.fwcfg=PORT                  fw_cfg's selector I/O port, hexadecimal
 *   drupe.root=SERIAL                 virtio-blk serial of the root image (default "root")
 *   drupe.tsc_khz=KHZ                 the TSC's frequency, where the machine has no way to tell
 *   drupe.time=SECONDS                wall clock at boot (Unix time), where there is no RTC
 */
#ifndef ABI_BOOT_H
#define ABI_BOOT_H

#define BOOT_CONFIG_PATH "/.drupe/config.json"
#define BOOT_FWCFG_CONFIG "opt/org.drupe.config"

/* Annotations of config.json */
#define ANN_NET_MODE "org.drupe.net.mode"       /* "static", "dhcp", "none" */
#define ANN_NET_ADDRESS "org.drupe.net.address" /* "10.0.2.15/24" */
#define ANN_NET_GATEWAY "org.drupe.net.gateway"
#define ANN_NET_ADDRESS6 "org.drupe.net.address6" /* "fd00::2/64": beside the other, or alone */
#define ANN_NET_GATEWAY6 "org.drupe.net.gateway6" /* without it routers' advertisements say */
#define ANN_NET_DNS "org.drupe.net.dns"         /* up to three, comma-separated */
#define ANN_NET_DOMAIN "org.drupe.net.domain"
#define ANN_NET_EAGER "org.drupe.net.eager"     /* "1": open the card at boot */
/* The packet filter: what may begin to speak, words "PROTOCOL[:FIRST[-LAST]][@ADDRESS/BITS]" with single blanks between, PROTOCOL
 * tcp, udp or any. Without the annotation that way is open, with "" it is closed. The address is the other side's, the port
 * the program's for what comes in and the other side's for what goes out. */
#define ANN_NET_INGRESS "org.drupe.net.ingress"
#define ANN_NET_EGRESS "org.drupe.net.egress"
#define ANN_NET_CAPTURE "org.drupe.net.capture" /* "1": a client records packets (abi/pcap.h) and will come soon */
#define ANN_VERBOSE "org.drupe.verbose"         /* "1": name missing calls once, in CTL_LOG */
#define ANN_ONE_OUTPUT "org.drupe.one-output"   /* "1": standard error is standard output, the same open file */
#define ANN_CORES "org.drupe.cores"             /* "1": a client takes core files (abi/core.h) and will come soon */
#define ANN_NO_PATCH "org.drupe.no-patch"       /* "1": system calls stay traps, the program's text as it is */
#define ANN_WAIT_DEBUGGER "org.drupe.wait-debugger" /* "1": the first program begins when a debugger has come (abi/debug.h) */
#define ANN_WINSIZE "org.drupe.winsize"         /* "ROWSxCOLS" with process.terminal */

/* virtio-blk serial numbers */
#define SERIAL_ROOT "root"

/* User networking (host/slirp): addresses of the virtual network */
#define SLIRP_NET "10.0.2.0"
#define SLIRP_GUEST "10.0.2.15"
#define SLIRP_GATEWAY "10.0.2.2"
#define SLIRP_DNS "10.0.2.3"
#define SLIRP_NET6 "fec0::"
#define SLIRP_GUEST6 "fec0::15"
#define SLIRP_GATEWAY6 "fec0::2"
#define SLIRP_DNS6 "fec0::3"

#endif
