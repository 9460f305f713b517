/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine counts: processes, open files, pages by use, objects by kind. All of it must come back. */
#ifndef COUNTS_H
#define COUNTS_H

#define COUNTS 100
struct counts {
    unsigned n;
    struct { char name[40]; long value; } c[COUNTS];
};

int write_text(const char *path, const char *text); /* 0, or -1 and errno */
/* What is kept for so many processes at once, the next ones use again (kernel stacks). */
void at_once(int n);
/* As it is when what ended before has been put away. */
void take_calm(struct counts *s);
/* All comes back, but for `slack` objects on their way, and pages that we and our heap took ourselves: at once, or on a busy machine a
 * little later. Prints "leak NAME BEFORE AFTER" for what does not, then "counted N". */
void compare(const struct counts *before, long slack);

#endif
