/* resident FILE...: has all of itself in memory, says `ready`, and for each line on standard input tries each FILE. */
#include "attempt.h"
#include <sys/mman.h>

int main(int argc, char **argv)
{
    /* Before anything else may not answer: whatever the file system of this program does not give now. */
    MUST(mlockall(MCL_CURRENT));
    puts("ready");
    fflush(stdout);
    while (getchar() == '\n')
        for (int i = 1; i < argc; i++)
            try_it("", argv[i]);
}
