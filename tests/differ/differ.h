/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long random sequences of system calls that are the same wherever the seed is: two systems that print different lines differ.
 *
 *     differ MODE SEED[+COUNT] STEPS [KEEP]
 *
 * A mode is a table of calls (struct act) on a small set of objects, and a watch() of what they are afterwards. Each step chooses by (seed, number of
 * the step) alone, so one that is left out (KEEP: "3,7,10-20" are made) changes no other's choice: differ.py makes short what differs.
 * A line is the call, its arguments by name, its result, and what changed of all that is watched. Nothing that two right systems may do in
 * different ways belongs in it: addresses, times, numbers of processes.
 */
#ifndef TESTS_DIFFER_H
#define TESTS_DIFFER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define RAW(nr, ...) syscall(SYS_##nr, ##__VA_ARGS__)

struct act {
    const char *name;
    void (*run)(void);
    unsigned weight;
};

struct mode {
    const char *name;
    void (*start)(void);
    const struct act *acts; /* the last one has no name */
    void (*after)(void);    /* each call, before anything is watched; may be NULL */
    void (*watch)(void);
    bool confined;          /* it makes names: the working directory is its root */
    const char *room;       /* options of its tmpfs, or NULL */
};
extern const struct mode mode_files, mode_inet, mode_memory, mode_streams, mode_creds, mode_signals, mode_ipc, mode_ptys;

/* Choices of this step. */
unsigned rnd(unsigned below);
bool one_in(unsigned n);
uint32_t step_number(void);

/* What the line says. say_ret() gives back r and leaves errno. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
long ret(long r);    /* " = 3" or " = -1 ENAME" */
long ret_ok(long r); /* " = ok": the number itself may differ */
long ret_bytes(long r, const void *data, size_t size_bytes); /* and what was read, at most so much of it */
const char *error_name(int e);
uint32_t hash(const void *data, size_t len_bytes);

/* Arguments: chosen, said (after a comma but for the first of a call), and handed back. */
void arg(const char *format, ...) __attribute__((format(printf, 1, 2)));
struct word {
    long value;
    const char *name;
};
#define W(x) {(long)(x), #x}
long arg_of(const struct word *words, unsigned n);
long arg_some(const struct word *words, unsigned n, unsigned chance); /* each with 1 in chance; OR of them */
void say_flags(const struct word *words, unsigned n, unsigned long flags);
#define ONE(words) arg_of(words, COUNT(words))
#define SOME(words, chance) arg_some(words, COUNT(words), chance)
long arg_num(const long *values, unsigned n);
#define NUM(...) ({ static const long v_[] = {__VA_ARGS__}; arg_num(v_, COUNT(v_)); })

/* A named state: the line says it when it is not what it was. */
void state(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Descriptors by slot: f0, f1, ... A step that wants one mostly gets one that is open. */
#define SLOTS 12
extern int slots[SLOTS];
unsigned arg_slot(void);       /* says it; slots[] of it may be -1 */
unsigned arg_slot_of(bool (*good)(int fd)); /* mostly one for which good() */
void slot_put(unsigned slot, long fd); /* closes what was there; fd -1 is nothing */
long ret_slot(long fd);        /* a new descriptor as result: into a slot of its choice */
void do_close(void);           /* steps of several modes */
void do_dup(void);

/* A process that start() has made goes on where another ended; that one ends its line first. */
void end_line(void);
char state_of(pid_t pid); /* as proc(5) has it; '?': gone */
int creds_tell(void); /* this program as another: prints who it is */

extern int self;    /* this program's file */
int hidden(int fd); /* out of the way of the lowest numbers, closed on exec */
extern char work[64]; /* a tmpfs of 256 KiB of its own, the working directory at the start */

#endif
