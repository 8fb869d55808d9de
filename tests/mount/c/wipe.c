/* A library that wipes every trace of itself from the environment before the program begins. */
#include <stdio.h>
#include <string.h>

extern char **environ;

__attribute__((constructor)) static void begin(void)
{
    for (char **one = environ; *one; one++)
        memset(*one, 0, strlen(*one));
    *environ = NULL;
    puts("loaded");
}
