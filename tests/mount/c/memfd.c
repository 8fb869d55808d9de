/* memfd NAME PROGRAM FILE: runs a copy of PROGRAM that is in no file system, under the name NAME. */
#include "attempt.h"
#include <sys/mman.h>
#include <sys/sendfile.h>

extern char **environ;

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    int from = MUST(open(argv[2], O_RDONLY | O_CLOEXEC)), to = MUST(memfd_create(argv[1], MFD_CLOEXEC));
    while (MUST(sendfile(to, from, NULL, 1 << 20)) > 0)
        ;
    fexecve(to, argv + 2, environ);
    fail("fexecve");
}
