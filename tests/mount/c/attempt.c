/* attempt [-q] FILE: says what the file holds, or with -q tells it by the exit code alone. */
#include "attempt.h"

int main(int argc, char **argv)
{
    char value[8192];
    int quiet = argc == 3 && strcmp(argv[1], "-q") == 0;
    if (argc != 2 + quiet)
        return 2;
    int error = attempt(argv[1 + quiet], value, sizeof value);
    if (quiet)
        return code_of(error);
    say("", error, value);
}
