/* SPDX-License-Identifier: Apache-2.0 */
/* drupe trace 'PROGRAM' and drupe trace -f FILE: eBPF programs in a running instance. */
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "host/bpf/object.h"
#include "host/bpf/run.h"
#include "host/cli/cli.h"
#include "host/cli/trace.h"
#include "host/lib/fs.h"

static int run_file(const struct run_options *o, const struct program_trace *p, const struct entry *e, struct error *err)
{
    struct buf bytes = {0};
    int result = 0;
    if (file_read(p->file, OBJECT_BYTES_MAX, &bytes) < 0)
        return err_errno(err, EXIT_DRUPE, "-f %s", p->file);
    if (bytes.len > SELFMAG && memcmp(bytes.data, ELFMAG, SELFMAG) == 0)
        result = run_object(o, e, (const u8 *)bytes.data, bytes.len, err);
    else
        result = run_words(o, e, bytes.data ? bytes.data : "", bytes.len, err);
    buf_done(&bytes);
    return result < 0 ? err_prefix(err, "%s", p->file) : 0;
}

int trace_programs(const struct program_trace *p, const struct entry *e, struct error *err)
{
    struct run_options o = {.out = output_open(p->output, stdout, err), .end_fd = end_signals_fd(), .interval_s = p->interval_s};
    if (!o.out)
        return -1;
    int result = p->text ? run_words(&o, e, p->text, strlen(p->text), err) : run_file(&o, p, e, err);
    return output_close(o.out, p->output, result, err);
}
