/* ways HOW FILE: gets at FILE in another way than open and read, and says what came of it. FILE `-` is the descriptor 0, that
   somebody else opened.
   HOW: `read`; `workers` (io_uring, by its worker threads); `sqpoll` (io_uring, by the kernel's thread for the ring);
   `sendfile`; `splice`; `mmap`. */
#include "attempt.h"
#include <linux/io_uring.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static char value[8192];

/* io_uring, by the system calls alone. */

static int ring, sqpoll;
static struct io_uring_params params;
static char *submissions, *completions;
static struct io_uring_sqe *entries;

static void set_up(int by_sqpoll)
{
    sqpoll = by_sqpoll;
    params.flags = sqpoll ? IORING_SETUP_SQPOLL : 0;
    params.sq_thread_idle = 2000;
    ring = MUST(syscall(SYS_io_uring_setup, 8, &params));
    size_t sq_size = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
    size_t cq_size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    int prot = PROT_READ | PROT_WRITE;
    submissions = MUST(mmap(NULL, sq_size, prot, MAP_SHARED, ring, IORING_OFF_SQ_RING));
    completions = MUST(mmap(NULL, cq_size, prot, MAP_SHARED, ring, IORING_OFF_CQ_RING));
    size_t size = params.sq_entries * sizeof(struct io_uring_sqe);
    entries = MUST(mmap(NULL, size, prot, MAP_SHARED, ring, IORING_OFF_SQES));
}

static uint32_t *at(char *base, uint32_t offset)
{
    return (uint32_t *)(base + offset);
}

/* The result of one operation: an answer, or a negative errno. */
static int perform(struct io_uring_sqe entry)
{
    uint32_t tail = *at(submissions, params.sq_off.tail), slot = tail & *at(submissions, params.sq_off.ring_mask);
    entries[slot] = entry;
    at(submissions, params.sq_off.array)[slot] = slot;
    __atomic_store_n(at(submissions, params.sq_off.tail), tail + 1, __ATOMIC_SEQ_CST);
    uint32_t flags = IORING_ENTER_GETEVENTS;
    if (__atomic_load_n(at(submissions, params.sq_off.flags), __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
        flags |= IORING_ENTER_SQ_WAKEUP;
    MUST(syscall(SYS_io_uring_enter, ring, sqpoll ? 0 : 1, 1, flags, NULL, 0));
    uint32_t head = *at(completions, params.cq_off.head);
    if (head == __atomic_load_n(at(completions, params.cq_off.tail), __ATOMIC_ACQUIRE))
        fail("no completion");
    struct io_uring_cqe *all = (struct io_uring_cqe *)(completions + params.cq_off.cqes);
    int result = all[head & *at(completions, params.cq_off.ring_mask)].res;
    __atomic_store_n(at(completions, params.cq_off.head), head + 1, __ATOMIC_RELEASE);
    return result;
}

static int by_uring(int fd, const char *path)
{
    if (fd < 0) {
        fd = perform((struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .flags = IOSQE_ASYNC, .fd = AT_FDCWD,
                                           .addr = (uintptr_t)path, .open_flags = O_RDONLY | O_CLOEXEC});
        if (fd < 0)
            return -fd;
    }
    /* No more than there is: on a FUSE that bypasses the page cache Linux 6.18 reads a short file twice. */
    struct stat stat;
    MUST(fstat(fd, &stat));
    int got = perform((struct io_uring_sqe){.opcode = IORING_OP_READ, .flags = IOSQE_ASYNC, .fd = fd,
                                            .addr = (uintptr_t)value, .len = stat.st_size});
    return got < 0 ? -got : 0;
}

/* The other ways. */

static sigjmp_buf faulted;

static void on_fault(int signal)
{
    siglongjmp(faulted, signal);
}

static int by_mapping(int fd)
{
    char *mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped == MAP_FAILED)
        return errno;
    signal(SIGBUS, on_fault);
    if (sigsetjmp(faulted, 1) != 0)
        return EFAULT;
    memcpy(value, mapped, 4095);
    return 0;
}

static int by_pipe(int fd, const char *how)
{
    int ends[2];
    MUST(pipe(ends));
    ssize_t got = strcmp(how, "splice") == 0 ? splice(fd, NULL, ends[1], NULL, 4096, 0) : sendfile(ends[1], fd, NULL, 4096);
    if (got < 0)
        return errno;
    MUST(read(ends[0], value, got));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    const char *how = argv[1], *path = argv[2];
    int fd = strcmp(path, "-") == 0 ? 0 : -1, error;
    if (strcmp(how, "workers") == 0 || strcmp(how, "sqpoll") == 0) {
        set_up(strcmp(how, "sqpoll") == 0);
        error = by_uring(fd, path);
    } else {
        if (fd < 0 && (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
            error = errno;
        else if (strcmp(how, "read") == 0)
            error = read_it(fd, value, sizeof value);
        else
            error = strcmp(how, "mmap") == 0 ? by_mapping(fd) : by_pipe(fd, how);
    }
    printf("%d ", getpid());
    say("", error, value);
}
