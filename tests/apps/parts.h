/* SPDX-License-Identifier: Apache-2.0 */
/* Programs, each with many system calls of one family, that may be killed anywhere; who runs one is a process of its own. */
#ifndef PARTS_H
#define PARTS_H

struct part {
    const char *name;
    void (*run)(void);
};
#define PARTS 7u
extern const struct part parts[PARTS];
extern const char *parts_self; /* the program: with the argument "nothing", it ends at once */

#endif
