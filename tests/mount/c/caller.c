// Reads a file and prints what it holds, or "denied". Usage: caller HOW FILE, HOW of letters:
//
//   d  set the process undumpable first
//   l  lock all of its memory first, so that it needs no disk any more
//   p  print the process id
//   t  read from a second thread
//   w  read once for each line of the standard input, instead of once
//   m  read, then have the memory lock of the process held and read again: FILE is followed by a file whose READ is never answered (examples/null.rs)
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char *how, *path, *locked;
static int direct;

static int has(char letter) { return strchr(how, letter) != NULL; }

static void attempt(void) {
    char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[got < 0 ? 0 : got] = 0;
    puts(got < 0 ? "denied" : text);
    fflush(stdout);
}

static void *all(void *unused) {
    char line[64];
    if (!has('w')) attempt();
    while (has('w') && fgets(line, sizeof line, stdin)) attempt();
    return unused;
}

// Waits for a page that is never read.
static void *wait_for_page(void *unused) {
    char byte;
    int fd = open(locked, O_RDONLY);
    if (read(fd, &byte, 1) != 1) return NULL;
    return unused;
}

// Waits for that page as well, with the lock of the memory held for writing: so does `mmap` of direct I/O.
static void *hold_lock(void *unused) {
    mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, direct, 0);
    return unused;
}

int main(int count, char **words) {
    pthread_t thread;
    how = words[1], path = words[2];
    if (has('d')) prctl(PR_SET_DUMPABLE, 0);
    if (has('l') && mlockall(MCL_CURRENT) != 0) return 2;
    if (has('p')) printf("%d\n", getpid()), fflush(stdout);
    if (has('m') && count > 3) {
        locked = words[3];
        direct = open(locked, O_RDONLY | O_NONBLOCK);
        // Everything that is needed later is touched once: a page fault would wait as well.
        attempt();
        pthread_create(&thread, NULL, wait_for_page, NULL);
        usleep(300000);
        pthread_create(&thread, NULL, hold_lock, NULL);
        usleep(300000);
        attempt();
        _exit(0);
    }
    if (!has('t')) return all(NULL) != NULL;
    pthread_create(&thread, NULL, all, NULL);
    pthread_join(thread, NULL);
    return 0;
}
