/* exec HOW FILE PROGRAM: becomes PROGRAM, with FILE as its argument, while or after it opens FILE.
   HOW: `during`: while a thread waits for FILE. `race`: while a thread opens FILE again and again; what it reads it says.
   `thread`: after the first thread read FILE, by another thread, which then has the id of the first. */
#include "attempt.h"
#include <pthread.h>
#include <sys/syscall.h>

static char **arguments;
static pid_t tid;

static void become(void)
{
    execl(arguments[3], arguments[3], arguments[2], (char *)NULL);
    fail("execl");
}

static void *opens(void *unused)
{
    (void)unused;
    __atomic_store_n(&tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
    char value[64];
    do {
        if (attempt(arguments[2], value, sizeof value) == 0)
            say("read", 0, value);
    } while (strcmp(arguments[1], "race") == 0);
    return NULL;
}

static void *becomes(void *unused)
{
    (void)unused;
    become();
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    arguments = argv;
    pthread_t thread;
    if (strcmp(argv[1], "thread") == 0) {
        try_it("before", argv[2]);
        pthread_create(&thread, NULL, becomes, NULL);
        pthread_join(thread, NULL);
        return 1;
    }
    pthread_create(&thread, NULL, opens, NULL);
    while (!__atomic_load_n(&tid, __ATOMIC_ACQUIRE))
        usleep(100);
    if (strcmp(argv[1], "during") == 0) {
        char name[64], text[64];
        snprintf(name, sizeof name, "/proc/self/task/%d/wchan", tid);
        /* Seen again and again, for it is the provider that is to be waited for, and not an answer of an instant. */
        for (int seen = 0; seen < 20; usleep(10000)) {
            int fd = MUST(open(name, O_RDONLY));
            memset(text, 0, sizeof text);
            MUST(read(fd, text, sizeof text - 1));
            close(fd);
            seen = strstr(text, "request_wait_answer") ? seen + 1 : 0;
        }
    }
    become();
}
