/* ancestor FILE HELD: opens HELD, and after a line on standard input is in execve for as long as the file system of HELD does
   not answer its FLUSH. Its child then tries to read FILE. */
#include "attempt.h"
#include <signal.h>

static void too_late(int signal)
{
    (void)signal;
    static const char text[] = "too late\n";
    _exit(write(1, text, sizeof text - 1) < 0);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    MUST(open(argv[2], O_RDONLY | O_CLOEXEC));
    puts("ready");
    fflush(stdout);
    getchar();
    if (MUST(fork()) == 0) {
        signal(SIGALRM, too_late);
        alarm(8);
        usleep(500000); /* Nothing tells when the parent is there: the test looks whether it is. */
        try_it("child", argv[1]);
        return 0;
    }
    execl("/bin/true", "true", (char *)NULL);
    fail("execl");
}
