/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of --help of top, strace and trace. */
#include <stdio.h>

#include "host/cli/cli.h"

void help_strace(void)
{
    fputs("Usage: drupe strace [OPTION]... INSTANCE\n"
          "\n"
          "The system calls of all processes and threads of a running instance, as strace prints them.\n"
          "\n"
          "  -e trace=CALL,...   only those; also %file, %desc, %network, %process, %signal, %memory, %ipc, all, none;\n"
          "                      ! in front: all but those\n"
          "  -e fd=N,...         only calls with one of these descriptors\n"
          "  -P PATH             only calls with this path\n"
          "  -p NUMBER           only this process or thread of the instance\n"
          "  -e errno=NAME,...   only calls that failed with one of these errors\n"
          "  -Z, -z              only calls that failed, that did not\n"
          "  -c                  count instead: calls, errors and the time from entry to return\n"
          "  -s BYTES            of strings and buffers (32)\n"
          "  -t, -tt, -r, -T     the time, with microseconds; since the line before; spent in the call\n"
          "  -o FILE             write there instead of standard error\n"
          "\n"
          "^C detaches. What comes faster than it can be written is lost and counted; the program never waits.\n",
          stdout);
}

void help_trace(void)
{
    fputs("Usage: drupe trace [OPTION]... -e EVENT INSTANCE\n"
          "       drupe trace [OPTION]... 'PROGRAM' INSTANCE\n"
          "       drupe trace [OPTION]... -f FILE INSTANCE\n"
          "\n"
          "What happens inside the kernel of a running instance: its tracepoints, or what a program makes of them, of system\n"
          "calls, timers and functions. A PROGRAM is in bpftrace's words; a FILE has such words, or is an object file that\n"
          "clang -target bpf -g -O2 -c made. docs/TRACING.md says what is understood.\n"
          "\n"
          "  -l                  list the tracepoints and their fields; without an INSTANCE those of this version\n"
          "  -e EVENT            which: a name or a pattern such as 'sched:*'; any number of them\n"
          "  -p NUMBER           -e: only while this process or thread of the instance runs\n"
          "  --format FORMAT     -e: text, json (an object in each line), or chrome (a file that Perfetto and Chrome open)\n"
          "  --interval SECONDS  programs: print all maps every so often, not only at the end\n"
          "  -o FILE             write there instead of standard output\n"
          "\n"
          "  drupe trace 'syscall:read { @bytes[comm] = hist(ret); }' web\n"
          "\n"
          "^C ends it. What comes faster than it can be written is lost and counted; the instance never waits.\n",
          stdout);
}

void help_top(void)
{
    fputs("Usage: drupe top [OPTION]... INSTANCE\n"
          "\n"
          "Processes and threads of a running instance: state, use of the CPU since the last look, resident memory of the\n"
          "process, system calls each second, the call that a sleeping thread is in and what it waits for.\n"
          "\n"
          "  -d, --delay SECONDS      between two looks (3)\n"
          "  -n, --iterations N       so many, then end\n"
          "  -b, --batch              for files and pipes: one below the other, all threads\n"
          "\n"
          "q ends it, the space bar looks at once.\n",
          stdout);
}
