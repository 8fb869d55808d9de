/* forge HOW PROGRAM FILE...: makes the kernel name PROGRAM as the executable of this process, then tries to read each FILE.
   HOW: `plain` tries it as it is, `inside` in a user namespace of its own, `shared` by a child that shares this memory and is
   in a user namespace of its own, while this process stays where it was. */
#include "attempt.h"
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static const char *program;

/* An executable that is mapped cannot be exchanged, so copies without a file take the place of all that is mapped of ours. */
static void unmap_ourselves(void)
{
    struct { unsigned long from, to; int prot; } parts[16];
    char own[4096], line[8192];
    int count = 0;
    own[MUST(readlink("/proc/self/exe", own, sizeof own - 1))] = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (count < 16 && fgets(line, sizeof line, maps)) {
        char bits[5];
        line[strcspn(line, "\n")] = 0;
        if (!strchr(line, '/') || strcmp(strchr(line, '/'), own) != 0)
            continue;
        if (sscanf(line, "%lx-%lx %4s", &parts[count].from, &parts[count].to, bits) != 3)
            fail("sscanf");
        parts[count++].prot = (bits[0] == 'r') * PROT_READ | (bits[1] == 'w') * PROT_WRITE | (bits[2] == 'x') * PROT_EXEC;
    }
    fclose(maps);
    for (int i = 0; i < count; i++) {
        size_t size = parts[i].to - parts[i].from;
        void *copy = MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        memcpy(copy, (void *)parts[i].from, size);
        MUST(mprotect(copy, size, parts[i].prot));
        MUST(mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)parts[i].from));
    }
}

/* 0, or the errno. */
static int forge(void)
{
    struct prctl_mm_map map = {.exe_fd = MUST(open(program, O_RDONLY | O_CLOEXEC)), .brk = (unsigned long)sbrk(0)};
    char text[4096];
    FILE *stat = fopen("/proc/self/stat", "r");
    unsigned long fields[53] = {0};
    if (!stat || !fgets(text, sizeof text, stat))
        fail("/proc/self/stat");
    fclose(stat);
    int number = 3;
    for (char *at = strtok(strrchr(text, ')') + 4, " "); at; at = strtok(NULL, " "))
        if (++number < 53)
            fields[number] = strtoul(at, NULL, 10);
    map.start_code = fields[26], map.end_code = fields[27], map.start_stack = fields[28];
    map.start_data = fields[45], map.end_data = fields[46], map.start_brk = fields[47];
    map.arg_start = fields[48], map.arg_end = fields[49], map.env_start = fields[50], map.env_end = fields[51];
    return prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) == 0 ? 0 : errno;
}

static int child(void *unused)
{
    (void)unused;
    return forge();
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    const char *how = argv[1];
    program = argv[2];
    unmap_ourselves();
    int error;
    if (strcmp(how, "shared") == 0) {
        static char stack[256 << 10] __attribute__((aligned(16)));
        pid_t pid = MUST(clone(child, stack + sizeof stack, CLONE_VM | CLONE_NEWUSER | SIGCHLD, NULL));
        int status;
        MUST(waitpid(pid, &status, 0));
        error = WEXITSTATUS(status);
    } else {
        if (strcmp(how, "inside") == 0)
            MUST(unshare(CLONE_NEWUSER));
        error = forge();
    }
    char shown[4096];
    shown[MUST(readlink("/proc/self/exe", shown, sizeof shown - 1))] = 0;
    say("forged", error, shown);
    for (int i = 3; i < argc; i++)
        try_it("read", argv[i]);
}
