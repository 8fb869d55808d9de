/* threads HOW FILE [OTHER]: a process whose threads are in different states reads FILE.
   HOW: `uids`: run as root; one thread alone becomes uid 1000, both try, and each tries the other's descriptor.
   `leader`: the first thread has ended when another tries. `vfork`: a child that shares the memory tries.
   `stopped`: tries while another thread is stopped by a debugger. `stuck`: tries while another thread waits for OTHER. */
#include "attempt.h"
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const char *path, *other;
static int opened;
static pid_t tid;

static void read_opened(const char *who, int fd)
{
    char value[64];
    say(who, read_it(fd, value, sizeof value), value);
}

static void *becomes_another(void *first)
{
    /* Not by the C library, which changes all threads. */
    MUST(syscall(SYS_setresuid, 1000, 1000, 1000));
    try_it("uid 1000", path);
    read_opened("uid 1000, by root's descriptor", *(int *)first);
    opened = MUST(open(path, O_RDONLY));
    return NULL;
}

static void *after_the_leader(void *unused)
{
    (void)unused;
    char name[64], text[512] = "";
    snprintf(name, sizeof name, "/proc/self/task/%d/stat", getpid());
    while (!strstr(text, ") Z ")) {
        int fd = MUST(open(name, O_RDONLY));
        MUST(read(fd, text, sizeof text - 1));
        close(fd);
    }
    try_it("after the leader", path);
    exit(0);
}

static void *waits(void *unused)
{
    (void)unused;
    __atomic_store_n(&tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
    if (other) {
        char value[64];
        attempt(other, value, sizeof value);
    }
    while (pause() == -1)
        ;
    return NULL;
}

/* Waits for it in /proc: `what` is in that file of the other thread. */
static void until(const char *file, const char *what)
{
    char name[64], text[512] = "";
    while (!__atomic_load_n(&tid, __ATOMIC_ACQUIRE))
        usleep(1000);
    snprintf(name, sizeof name, "/proc/self/task/%d/%s", tid, file);
    while (!strstr(text, what)) {
        int fd = MUST(open(name, O_RDONLY));
        memset(text, 0, sizeof text);
        MUST(read(fd, text, sizeof text - 1));
        close(fd);
        usleep(1000);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    const char *how = argv[1];
    path = argv[2], other = argc > 3 ? argv[3] : NULL;
    pthread_t thread;
    if (strcmp(how, "uids") == 0) {
        int own = MUST(open(path, O_RDONLY));
        pthread_create(&thread, NULL, becomes_another, &own);
        pthread_join(thread, NULL);
        try_it("root", path);
        read_opened("root, by uid 1000's descriptor", opened);
    } else if (strcmp(how, "leader") == 0) {
        pthread_create(&thread, NULL, after_the_leader, NULL);
        pthread_exit(NULL);
    } else if (strcmp(how, "vfork") == 0) {
        pid_t child = vfork();
        if (child == 0) {
            try_it("child", path);
            _exit(0);
        }
        MUST(child);
        try_it("parent", path);
    } else if (strcmp(how, "stopped") == 0) {
        pthread_create(&thread, NULL, waits, NULL);
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
        while (!__atomic_load_n(&tid, __ATOMIC_ACQUIRE))
            usleep(1000);
        pid_t debugger = MUST(fork());
        if (debugger == 0) {
            MUST(ptrace(PTRACE_SEIZE, tid, 0, 0));
            MUST(ptrace(PTRACE_INTERRUPT, tid, 0, 0));
            for (;;)
                pause();
        }
        until("stat", ") t ");
        try_it("beside the stopped", path);
        MUST(kill(debugger, SIGKILL));
        MUST(waitpid(debugger, NULL, 0));
    } else if (strcmp(how, "stuck") == 0) {
        pthread_create(&thread, NULL, waits, NULL);
        until("wchan", "request_wait_answer");
        try_it("beside the stuck", path);
    }
}
