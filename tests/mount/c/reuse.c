/* reuse FILE ROUNDS PROGRAM: as root. In each round two processes have the same id, the second at once after the first: by
   uid (1000 must read, 1001 must get EACCES), then by program (this one gets EACCES, PROGRAM, run as 1000, must read);
   each pair in both orders. Says what was wrong, and how many rounds were made. */
#include "attempt.h"
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* As fork, with the id that the child is to have; 0 for any. */
static pid_t fork_as(pid_t id)
{
    struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&id, .set_tid_size = id != 0};
    return syscall(SYS_clone3, &args, sizeof args);
}

static int child(unsigned uid, const char *path, const char *program)
{
    MUST(setresgid(uid, uid, uid));
    MUST(setresuid(uid, uid, uid));
    if (program) {
        execl(program, program, "-q", path, (char *)NULL);
        fail("execl");
    }
    char value[64];
    return code_of(attempt(path, value, sizeof value));
}

/* The exit code of a process with this id, or -1 where somebody else has it. */
static int run_as(pid_t id, unsigned uid, const char *path, const char *program)
{
    pid_t pid = fork_as(id);
    if (pid < 0 && errno == EEXIST)
        return -1;
    MUST(pid);
    if (pid == 0)
        _exit(child(uid, path, program));
    int status;
    MUST(waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    struct {
        unsigned uid;
        const char *program;
        int expected;
    } all[] = {{1000, argv[3], 0}, {1001, argv[3], 1}, {1000, NULL, 1}, {1000, argv[3], 0}, {1001, NULL, 1}, {1000, argv[3], 0}};
    int rounds = 0, wrong = 0;
    MUST(setgroups(0, NULL));
    while (rounds < atoi(argv[2])) {
        pid_t id = MUST(fork());
        if (id == 0)
            _exit(0);
        MUST(waitpid(id, NULL, 0));
        for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
            int code = run_as(id, all[i].uid, argv[1], all[i].program);
            if (code < 0)
                break; /* The number was taken: with another one again. */
            if (code != all[i].expected)
                printf("step %u: %d\n", i, code), wrong++;
        }
        rounds++;
    }
    printf("%d rounds, %d wrong\n", rounds, wrong);
}
