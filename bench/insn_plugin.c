/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A QEMU TCG plugin that counts guest instructions between two marks:
 *
 *   -plugin insn_plugin.so,out=FILE[,start=ADDR][,mark=ADDR[,nth=N]][,io=LO-HI][,lap=ADDR][,live=FILE]
 *
 * Counting begins when the instruction at `start` is executed (default: at
 * reset). With `mark`, FILE gets the count at the first store to an I/O address
 * in [LO, HI) after the N-th execution of `mark` (the doorbell behind a call of
 * the function there); with `lap` the count at each execution of the instruction
 * there, whoever executes it. `live` is a file of two 64-bit numbers that are true at any time: instructions in the
 * lower half of addresses, where programs are, and in the upper one, where kernels are (of one CPU).
 * The total is written at exit in any case:
 *
 *   doorbell 1234567
 *   lap 2000000
 *   total 2345678
 *
 * Debian ships no plugin header: what is used of the interface (QEMU's
 * docs/devel/tcg-plugins.rst, version 1) is declared here.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
typedef struct qemu_info qemu_info_t;
enum { CB_NO_REGS = 0 };
enum { MEM_W = 2 };
enum { INLINE_ADD_U64 = 0 };

#define EXPORT __attribute__((visibility("default")))

extern EXPORT int qemu_plugin_version;
int qemu_plugin_version = 1;

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_atexit_cb(plugin_id id, void (*cb)(plugin_id id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *ptr, uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*cb)(unsigned cpu, void *data), int flags,
                                            void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
                                      void (*cb)(unsigned cpu, uint32_t info, uint64_t vaddr, void *data), int flags,
                                      int rw, void *data);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *a);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *a);
EXPORT int qemu_plugin_install(plugin_id id, const qemu_info_t *info, int argc, char **argv);

static uint64_t count, start, mark, lap, nth = 1, io_lo, io_hi = UINT64_MAX;
static bool marked, done;
static FILE *out;
static uint64_t unwatched[2], *live = unwatched; /* of the lower and of the upper half */

static void at_start(unsigned cpu, void *data) { count = 0; }
static void at_mark(unsigned cpu, void *data) { marked = marked || (nth != 0 && --nth == 0); }

static void at_lap(unsigned cpu, void *data) { fprintf(out, "lap %" PRIu64 "\n", count); }

static void at_store(unsigned cpu, uint32_t info, uint64_t vaddr, void *data)
{
    if (!marked || done)
        return;
    struct qemu_plugin_hwaddr *a = qemu_plugin_get_hwaddr(info, vaddr);
    if (a == NULL || !qemu_plugin_hwaddr_is_io(a))
        return;
    uint64_t pa = qemu_plugin_hwaddr_phys_addr(a);
    if (pa < io_lo || pa >= io_hi)
        return;
    done = true;
    fprintf(out, "doorbell %" PRIu64 "\n", count);
    fflush(out);
}

static void translate(plugin_id id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t at = qemu_plugin_insn_vaddr(insn);
        if (start != 0 && at == start)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_start, CB_NO_REGS, NULL);
        if (mark != 0 && at == mark)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_mark, CB_NO_REGS, NULL);
        if (lap != 0 && at == lap)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_lap, CB_NO_REGS, NULL);
        qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &count, 1);
        if (live != unwatched)
            qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &live[at >> 63], 1);
        if (mark != 0)
            qemu_plugin_register_vcpu_mem_cb(insn, at_store, CB_NO_REGS, MEM_W, NULL);
    }
}

static void at_exit(plugin_id id, void *data)
{
    fprintf(out, "total %" PRIu64 "\n", count);
    fclose(out);
}

static bool map_live(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return false;
    void *p = ftruncate(fd, sizeof(unwatched)) == 0 ? mmap(NULL, sizeof(unwatched), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    close(fd);
    if (p != MAP_FAILED)
        live = p;
    return p != MAP_FAILED;
}

int qemu_plugin_install(plugin_id id, const qemu_info_t *info, int argc, char **argv)
{
    const char *path = NULL;
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL)
            return -1;
        *value++ = 0;
        if (strcmp(argv[i], "out") == 0)
            path = value;
        else if (strcmp(argv[i], "live") == 0) {
            if (!map_live(value))
                return -1;
        } else if (strcmp(argv[i], "start") == 0)
            start = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "mark") == 0)
            mark = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "lap") == 0)
            lap = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "nth") == 0)
            nth = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "io") == 0) {
            char *end;
            io_lo = strtoull(value, &end, 0);
            io_hi = *end == '-' ? strtoull(end + 1, NULL, 0) : UINT64_MAX;
        } else
            return -1;
    }
    out = path != NULL ? fopen(path, "w") : NULL;
    if (out == NULL)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
