/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of `drupe`. Each takes argv from its own name on and returns the exit status. */
#ifndef HOST_CLI_CLI_H
#define HOST_CLI_CLI_H

#include "host/lib/error.h"

int command_run(int argc, char **argv, struct error *err);
int command_build(int argc, char **argv, struct error *err);
int command_ps(int argc, char **argv, struct error *err);
int command_inspect(int argc, char **argv, struct error *err);
int command_stop(int argc, char **argv, struct error *err);
int command_kill(int argc, char **argv, struct error *err);
int command_wait(int argc, char **argv, struct error *err);
int command_rm(int argc, char **argv, struct error *err);
int command_logs(int argc, char **argv, struct error *err);
int command_dump(int argc, char **argv, struct error *err);
int command_collect(int argc, char **argv, struct error *err); /* internal */
int command_stats(int argc, char **argv, struct error *err);

void help_main(void);
void help_run(void);
void help_build(void);
void help_stats(void);
void help_dump(void);
void help_instances(void); /* ps, logs, inspect, stop, kill, wait, rm */

#endif
