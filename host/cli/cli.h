/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of `drupe`. Each takes argv from its own name on and returns the exit status. */
#ifndef HOST_CLI_CLI_H
#define HOST_CLI_CLI_H

#include <sys/types.h>

#include "host/lib/error.h"

struct entry;

int command_run(int argc, char **argv, struct error *err);
int command_build(int argc, char **argv, struct error *err);
int command_ps(int argc, char **argv, struct error *err);
int command_inspect(int argc, char **argv, struct error *err);
int command_stop(int argc, char **argv, struct error *err);
int command_kill(int argc, char **argv, struct error *err);
int command_wait(int argc, char **argv, struct error *err);
int command_rm(int argc, char **argv, struct error *err);
int command_logs(int argc, char **argv, struct error *err);
int command_profile(int argc, char **argv, struct error *err);
int command_pcap(int argc, char **argv, struct error *err);
int command_dump(int argc, char **argv, struct error *err);
int command_collect(int argc, char **argv, struct error *err); /* internal */
int command_stats(int argc, char **argv, struct error *err);
int command_strace(int argc, char **argv, struct error *err);
int command_trace(int argc, char **argv, struct error *err);
int command_top(int argc, char **argv, struct error *err);
/* ps INSTANCE */
int show_threads(const char *name, struct error *err);
int command_gdb(int argc, char **argv, struct error *err);
int command_stack(int argc, char **argv, struct error *err);
/* run --gdb: gdb for an instance whose program waits for it, as the terminal's foreground job. It is nobody's child. */
void gdb_for_new(const char *id);

/* collect.c: a process beside instance e that takes its "cores" or "pcap" to a directory or file. Its pid, or -1. */
pid_t collector_start(const struct entry *e, const char *what, const char *where, struct error *err);
void collector_end(pid_t pid); /* behind the end of the instance; 0 is none */

void help_main(void);
void help_run(void);
void help_build(void);
void help_stats(void);
void help_dump(void);
void help_pcap(void);
void help_profile(void);
void help_strace(void);
void help_trace(void);
void help_top(void);
void help_gdb(void);
void help_instances(void); /* ps, logs, inspect, stop, kill, wait, rm */

#endif
