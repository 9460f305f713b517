/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of uring.c share. */
#ifndef TESTS_GUEST_URING_H
#define TESTS_GUEST_URING_H

#include "t.h"
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

extern struct io_uring ring;
extern char buf[65536];

void setups(void), registered(void), restricted(void), full(void), watched(void), ends(void), polled(void); /* uring_ring.c */

/* Prepare and number: prep functions clear the rest of the sqe. */
#define PREP(data, prep, ...)                             \
    ({                                                    \
        struct io_uring_sqe *s_ = io_uring_get_sqe(&ring);\
        memset(s_, 0, sizeof *s_);                        \
        io_uring_prep_##prep(s_, ##__VA_ARGS__);          \
        s_->user_data = (data);                           \
        s_;                                               \
    })

const char *text(int res);
/* Wait for n completions and show them by number, so that their order does not matter. */
void show_n(const char *what, unsigned n);
void submit_show(const char *what, unsigned n);
void none_left(const char *what);

#endif
