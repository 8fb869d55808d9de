/* storm FILE COUNT: as root starts COUNT processes, a few at a time. Every second one has uid 1000 and must read the file,
   the others have uid 1001 and must get EACCES. Says after each tenth how far it is, and waits for a line before it goes on.
   EIO is the record of so many attempts being late, and is tried again. */
#include "attempt.h"
#include <grp.h>
#include <sys/wait.h>

enum { AT_ONCE = 4 };

static void child(const char *path, int entitled)
{
    unsigned id = entitled ? 1000 : 1001;
    MUST(setresgid(id, id, id));
    MUST(setresuid(id, id, id));
    char value[64];
    int error;
    while ((error = attempt(path, value, sizeof value)) == EIO)
        usleep(1000);
    _exit(entitled ? error != 0 || strcmp(value, "the value") != 0 : error != EACCES);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    long count = atol(argv[2]), wrong = 0, running = 0;
    MUST(setgroups(0, NULL));
    for (long i = 0; i < count || running > 0;) {
        if (i < count && running < AT_ONCE) {
            if (MUST(fork()) == 0)
                child(argv[1], i % 2 == 0);
            i++, running++;
            if (i % (count / 10) == 0) {
                printf("%ld %ld\n", i, wrong);
                fflush(stdout);
                if (getchar() == EOF)
                    return 1;
            }
            continue;
        }
        int status;
        MUST(wait(&status));
        running--;
        wrong += status != 0;
    }
    printf("done %ld\n", wrong);
}
