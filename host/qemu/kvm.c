/* SPDX-License-Identifier: Apache-2.0 */
/* The KVM probe: see kvm.h. It runs in a child, because a broken KVM may never come back. */
#include "host/qemu/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "host/image/cache.h"
#include "host/lib/fs.h"

#define LIMIT_NS 10000000ull
#define PATIENCE_MS 500
#define CODE_AT 0x1000

enum verdict { GOOD = 'y', SLOW = 's', HANGS = 'h', REFUSED = 'r' };

/* mov $50000,%cx; 1: dec %cx; jnz 1b; hlt: real mode, 100,001 instructions */
static const u8 code[] = {0xb9, 0x50, 0xc3, 0x49, 0x75, 0xfd, 0xf4};

static enum verdict run_machine(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0 || ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return REFUSED;
    int vm = ioctl(kvm, KVM_CREATE_VM, 0);
    u8 *memory = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (vm < 0 || memory == MAP_FAILED)
        return REFUSED;
    memcpy(memory + CODE_AT, code, sizeof(code));
    struct kvm_userspace_memory_region region = {.memory_size = 0x2000, .userspace_addr = (uintptr_t)memory};
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    int cpu = ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -1 : ioctl(vm, KVM_CREATE_VCPU, 0);
    struct kvm_run *run = cpu < 0 || size <= 0 ? MAP_FAILED
                                               : mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
    struct kvm_sregs sregs;
    if (run == MAP_FAILED || ioctl(cpu, KVM_GET_SREGS, &sregs) < 0)
        return REFUSED;
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    struct kvm_regs regs = {.rip = CODE_AT, .rflags = 2};
    if (ioctl(cpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(cpu, KVM_SET_REGS, &regs) < 0)
        return REFUSED;
    u64 start = now_ns();
    do {
        if (ioctl(cpu, KVM_RUN, 0) < 0 && errno != EINTR)
            return REFUSED;
    } while (run->exit_reason == KVM_EXIT_INTR && now_ns() - start < 10 * LIMIT_NS);
    if (run->exit_reason != KVM_EXIT_HLT)
        return REFUSED;
    return now_ns() - start < LIMIT_NS ? GOOD : SLOW;
}

static enum verdict probe(void)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return REFUSED;
    pid_t pid = fork();
    if (pid == 0) {
        u8 verdict = (u8)run_machine();
        ssize_t n = write(report[1], &verdict, 1);
        _exit(n == 1 ? 0 : 1);
    }
    close(report[1]);
    u8 verdict = REFUSED;
    if (pid > 0) {
        struct pollfd p = {.fd = report[0], .events = POLLIN};
        if (poll(&p, 1, PATIENCE_MS) <= 0)
            verdict = HANGS;
        else if (read(report[0], &verdict, 1) != 1)
            verdict = REFUSED;
        kill(pid, SIGKILL);
        /* A child stuck in the kernel cannot be waited for; init inherits it. */
        for (int i = 0; i < 50 && waitpid(pid, NULL, WNOHANG) == 0; i++)
            usleep(1000);
    }
    close(report[0]);
    return (enum verdict)verdict;
}

static const char *explain(enum verdict v)
{
    switch (v) {
    case GOOD:
        return "/dev/kvm works";
    case SLOW:
        return "/dev/kvm is slower than emulation on this host";
    case HANGS:
        return "/dev/kvm hangs on this host";
    default:
        return "/dev/kvm refuses to run a machine";
    }
}

/* "<boot id> <verdict>" in a file of the user's; better in a place that does not outlive the boot, but an old one is seen. */
static char *memo_path(void)
{
    const char *dir = getenv("XDG_RUNTIME_DIR");
    if (dir && *dir == '/')
        return path_join(dir, "drupe-kvm");
    if (geteuid() == 0)
        return xstrdup("/run/drupe-kvm");
    AUTO_FREE char *cache = cache_directory();
    return cache ? path_join(cache, "kvm") : NULL;
}

bool kvm_usable(const char **ret_why)
{
    if (access("/dev/kvm", F_OK) < 0) {
        *ret_why = "there is no /dev/kvm";
        return false;
    }
    if (access("/dev/kvm", R_OK | W_OK) < 0) {
        *ret_why = "/dev/kvm may not be opened (are you in the group kvm?)";
        return false;
    }
    struct buf boot = {0}, memo = {0};
    AUTO_FREE char *path = memo_path();
    file_read("/proc/sys/kernel/random/boot_id", 100, &boot);
    enum verdict verdict = REFUSED;
    bool known = path && boot.len && file_read(path, 200, &memo) == 0 && memo.len == boot.len + 1 &&
                 memcmp(memo.data, boot.data, boot.len) == 0;
    if (known) {
        verdict = (enum verdict)(u8)memo.data[boot.len];
    } else {
        verdict = probe();
        if (path && boot.len) {
            AUTO_FREE char *partial = str_format("%s.%d", path, getpid());
            AUTO_CLOSE int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
            u8 byte = (u8)verdict;
            if (fd >= 0 && (fd_write_all(fd, boot.data, boot.len) < 0 || fd_write_all(fd, &byte, 1) < 0 ||
                            rename(partial, path) < 0))
                unlink(partial);
        }
    }
    buf_done(&boot);
    buf_done(&memo);
    *ret_why = explain(verdict);
    return verdict == GOOD;
}
