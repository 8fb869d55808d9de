/* What the programs of the tests do to a file, and how they say what came of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Ends the program: the test cannot be made here, or is written wrong. */
static inline void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    _exit(99);
}

#define MUST(call)                                                                                                     \
    ({                                                                                                                 \
        __typeof__(call) answer = (call);                                                                              \
        if ((long)answer == -1)                                                                                        \
            fail(#call);                                                                                               \
        answer;                                                                                                        \
    })

/* Reads all of a descriptor's first bytes into `to`; 0, or the errno. */
static inline int read_it(int fd, char *to, size_t room)
{
    ssize_t got = pread(fd, to, room - 1, 0);
    if (got < 0)
        return errno;
    to[got] = 0;
    return 0;
}

/* Opens and reads; 0, or the errno. */
static inline int attempt(const char *path, char *to, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = read_it(fd, to, room);
    close(fd);
    return error;
}

/* Says the value, or the name of the errno. */
static inline void say(const char *who, int error, const char *value)
{
    printf("%s%s%s\n", who, *who ? ": " : "", error ? strerrorname_np(error) : value);
    fflush(stdout);
}

/* Opens, reads, and says what came of it. */
static inline void try_it(const char *who, const char *path)
{
    char value[8192];
    int error = attempt(path, value, sizeof value);
    say(who, error, value);
}

/* The same as an exit code: 0 for read, 1 for EACCES, 98 for anything else. */
static inline int code_of(int error)
{
    return error == 0 ? 0 : error == EACCES ? 1 : 98;
}
