/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of --help. */
#include <stdio.h>

#include "host/cli/cli.h"

void help_main(void)
{
    fputs("Usage: drupe COMMAND [OPTION]... \n"
          "\n"
          "Run unmodified Linux programs as small machines of their own.\n"
          "\n"
          "Commands:\n"
          "  run      run a program, a directory or an image     drupe run -p 6379:6379 redis-server\n"
          "  build    make an image file                         drupe build -o redis.img redis-server\n"
          "  ps, logs, inspect, stop, kill, wait, rm             running instances: drupe help ps\n"
          "  dump     a core file of a running program          drupe dump redis\n"
          "  pcap     its packets                               drupe pcap web | tcpdump -r -\n"
          "  profile  where its time goes                       drupe profile -d 10 --svg web > web.svg\n"
          "  stats    what running instances use                 drupe stats redis\n"
          "  top      its processes and threads                  drupe top redis\n"
          "  strace   its system calls                           drupe strace -c redis\n"
          "  trace    the kernel's tracepoints                   drupe trace -e 'net:*' redis\n"
          "  gdb      gdb for a running instance                 drupe gdb redis\n"
          "  stack    what its threads are doing                 drupe stack redis\n"
          "  version  print the version\n"
          "  help     print this, or help for a command          drupe help run\n"
          "\n"
          "Exit status of run: the program's own, 128+N when signal N ended it; 127 there is no such\n"
          "program, 126 it cannot be executed, 125 drupe or the instance failed.\n",
          stdout);
}

void help_run(void)
{
    fputs("Usage: drupe run [OPTION]... SOURCE [ARG]...\n"
          "\n"
          "SOURCE is a program of this host (by name or path: its libraries, and for a Debian program\n"
          "its package's files, are found), a script with #!, dir:PATH (a root file system), or an\n"
          "image made by `drupe build`. ARGs behind an image replace the arguments stored in it.\n"
          "\n"
          "Instance:\n"
          "  --on WHERE          kvm (a virtual machine), host (a sandboxed process of this host),\n"
          "                      qemu (emulation), or auto (default): the first that works here\n"
          "  --machine TYPE      of kvm and qemu: microvm (default, starts fastest) or q35\n"
          "  -m, --memory SIZE   memory, with K, M or G (default 512M; used as needed)\n"
          "  --cpus N            processors (default 1; on host at most 8)\n"
          "Program:\n"
          "  -e, --env K[=V]     set a variable of the environment, or pass on this one's\n"
          "  -w, --workdir DIR   working directory (default /)\n"
          "  -u, --user U[:G]    user and group, as numbers or names (default root)\n"
          "  --ulimit T=S[:H]    soft and hard limit, such as nofile=4096:8192 (default\n"
          "                      1024:524288, as of systemd and Docker); -1 is none\n"
          "  --name NAME         name of the instance: its host name (default drupe)\n"
          "  --entrypoint PROG   run PROG of the image instead of its own program\n"
          "Streams:\n"
          "  -i, --interactive   keep standard input open even if it is a terminal; pipes and\n"
          "                      files are always passed on\n"
          "  -t, --tty           give the program a terminal\n"
          "Network:\n"
          "  --net user          (default) through a process of this user; reaches the world\n"
          "  --net tap:IF        the TAP interface IF; addresses by DHCP and IPv6 routers, or --ip\n"
          "  --net none          none\n"
          "  -p [IP:]H:G[/udp]   publish port G of the program as port H of the host; with [IPV6]:H:G\n"
          "                      the program must listen on IPv6, too\n"
          "  --ip A/LEN[,GW]     address, prefix length and gateway, with --net tap; once for IPv4,\n"
          "                      once for IPv6\n"
          "  --dns A[,A]...      name servers, with --net\n"
          "  --allow tcp:PORT    open a port of the program, with --net tap; also udp:PORT, FIRST-LAST, with\n"
          "                      @ADDRESS/BITS who may; or all. Else nothing is open to the network but what -p is\n"
          "  --allow-from A/B    who may call what is open by -p, or --allow without @; default everybody\n"
          "  --egress A/B[:PORT] where the program may go, several with commas, [IPV6/B]:PORT, tcp: or udp:\n"
          "                      in front; or none; default everywhere. Else it gets EPERM\n"
          "Image:\n"
          "  -v SRC:DST[:ro]     a directory or file of the host, as it is, at DST\n"
          "  --add PATH[:DST]    put a file or directory of the host into the image\n"
          "  --no-package        leave out what the program's Debian package would bring\n"
          "  --gconv             put all of the C library's character set converters into the image\n"
          "Other:\n"
          "  -d, --detach        print the instance's id when its program runs, and leave it running\n"
          "  --rm                with -d: nothing of the instance stays when it ends (without -d that is so anyway)\n"
          "  --log-driver DRIVER     where a detached program's output goes: file (drupe logs), journald, syslog or none\n"
          "  --log-opt NAME=VALUE    file: max-size=SIZE (10M), max-file=N (3); journald and syslog: tag=TEXT (the id's beginning);\n"
          "                          syslog: syslog-address=udp://IP[:PORT] or unixgram://PATH (/dev/log), syslog-facility=NAME (daemon)\n"
          "  --core DIR          a core file in DIR for each process that a signal such as SIGSEGV ends\n"
          "  --pcap FILE         all packets from the first on, as pcapng (Wireshark, tcpdump)\n"
          "  --strace            show the program's system calls on standard error, from the first (drupe strace)\n"
          "  --summary           count them, and say which were missing, at its end\n"
          "  --gdb               gdb before the program's first instruction (drupe help gdb)\n"
          "  --no-patch          leave the program's text alone: system calls stay traps instead of\n"
          "                      becoming jumps, for programs that read their own instructions\n"
          "  -V, --verbose       say what was chosen and why, and show the console\n"
          "\n"
          "^C and SIGTERM are passed on to the program; if it has not ended after 10 seconds, or\n"
          "at the second ^C, the instance is killed.\n"
          "\n"
          "Environment: DRUPE_KERNEL and DRUPE_HOST_KERNEL (kernel images, the second for --on host),\n"
          "DRUPE_CACHE (directory of cached images),\n"
          "DRUPE_CACHE_SIZE (default 2G), DRUPE_QEMU_ARGS (more arguments for QEMU),\n"
          "DRUPE_KERNEL_ARGS (more for the kernel's command line).\n",
          stdout);
}

void help_build(void)
{
    fputs("Usage: drupe build [OPTION]... [-o FILE] SOURCE [ARG]...\n"
          "\n"
          "Make an image of SOURCE (see drupe run --help) that runs with these ARGs, without the\n"
          "host's files. It is an EROFS file system and can be mounted or checked by Linux.\n"
          "\n"
          "  -o, --output FILE   where to write it (default: the program's name with .img)\n"
          "  -e, -w, -u, --ulimit, --add, --no-package, --gconv, --name, -V: as for run; stored in the image\n",
          stdout);
}

void help_stats(void)
{
    fputs("Usage: drupe stats [OPTION]... [INSTANCE]...\n"
          "\n"
          "What running instances use; without INSTANCE (name or beginning of its id) all of them. With one\n"
          "INSTANCE in more detail.\n"
          "\n"
          "  -f, --follow        again every second\n"
          "  --format json       all counters, one JSON object for each instance and round\n"
          "  --prometheus A:P    serve the counters of all instances at http://A:P/metrics until ended\n"
          "  --latency on|off    histograms of the times of system calls and of waits for a CPU among these counters, from now on, in\n"
          "                      each INSTANCE; it costs two readings of the clock for each call and switch\n",
          stdout);
}

void help_dump(void)
{
    fputs("Usage: drupe dump [-o FILE] [-p PID] INSTANCE\n"
          "\n"
          "Writes a core file of a running process, the first one without -p, and prints its path: core.NAME.PID in this\n"
          "directory, or FILE. The process stands still while its registers are read, not while its memory is written.\n",
          stdout);
}

void help_pcap(void)
{
    fputs("Usage: drupe pcap [-w FILE] [-s BYTES] INSTANCE\n"
          "\n"
          "Writes the packets of a running instance as pcapng to FILE or standard output, until it ends:\n"
          "  drupe pcap web | tcpdump -r -        drupe pcap web | wireshark -k -i -\n"
          "A packet that the network stack did not deliver says why in its comment.\n",
          stdout);
}

void help_profile(void)
{
    fputs("Usage: drupe profile [-F HZ] [-d SECONDS] [--off-cpu] [--format folded|svg|pprof] INSTANCE > FILE\n"
          "\n"
          "Samples where the CPUs of a running instance are, HZ (99) times a second, for SECONDS (until ^C), and writes counted\n"
          "stacks, kernel frames marked _[k]: lines for flamegraph.pl and speedscope (folded), a flame graph for a browser (svg, or\n"
          "--svg), or a file for pprof. With --off-cpu: where its threads slept, weighted by how long (folded: microseconds); a\n"
          "sample for so many in a second of sleep.\n"
          "Programs are unwound by their own tables, from this host's files of the same path.\n",
          stdout);
}

void help_gdb(void)
{
    fputs("Usage: drupe gdb [-p PID] INSTANCE [GDB-OPTION]...   gdb, attached to the program\n"
          "       drupe gdb --server [-p PID] INSTANCE           gdb's remote protocol on standard input and output:\n"
          "                                                      (gdb) target remote | drupe gdb --server INSTANCE\n"
          "       drupe stack [-p PID] INSTANCE                  the backtraces of all threads of all processes\n"
          "\n"
          "The instance needs no preparation and goes on when gdb detaches or ends, however that happens.\n"
          "drupe run --gdb starts one that waits for gdb with its first instruction.\n"
          "\n"
          "  -p PID   another process of the instance than its first; of stack: this one alone\n",
          stdout);
}

void help_instances(void)
{
    fputs("Usage: drupe ps [-a] [--format json]       instances that run (-a: and that have ended)\n"
          "       drupe ps INSTANCE                   its processes and threads, as drupe top shows them\n"
          "       drupe logs [-f] [-n N] [-t] [--since TIME] [--until TIME] INSTANCE   what a detached program has written\n"
          "       drupe inspect INSTANCE...           all that is known, as JSON\n"
          "       drupe stop [-t SECONDS] INSTANCE... SIGTERM; killed after SECONDS (10)\n"
          "       drupe kill [-s SIGNAL] INSTANCE...  a signal for the program (KILL: ends the instance)\n"
          "       drupe wait INSTANCE...              wait for the end; prints the exit status\n"
          "       drupe rm [-f] INSTANCE...           forget one that has ended (-f: end it first)\n"
          "\n"
          "INSTANCE is a name or the beginning of an id.\n",
          stdout);
}
