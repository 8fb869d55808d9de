/* pivot ROOT UID PROGRAM ARGUMENTS...: makes ROOT the root of this mount namespace, becomes UID, and runs PROGRAM in there. */
#include "attempt.h"
#include <grp.h>
#include <sys/mount.h>
#include <sys/syscall.h>

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    unsigned id = atoi(argv[2]);
    MUST(chdir(argv[1]));
    MUST(syscall(SYS_pivot_root, ".", "."));
    MUST(umount2(".", MNT_DETACH));
    MUST(setgroups(0, NULL));
    MUST(setresgid(id, id, id));
    MUST(setresuid(id, id, id));
    execv(argv[3], argv + 3);
    fail(argv[3]);
}
