/*
 * Counts once every 100 ms, for ever. Close the lab while it runs and open it
 * again: it goes on from where it was. `counter 30` stops after 30.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
    long last = argc > 1 ? atol(argv[1]) : 0;
    struct timespec pause = { 0, 100 * 1000 * 1000 };
    for (long count = 1; last == 0 || count <= last; count++) {
        printf("%ld\n", count);
        fflush(stdout);
        nanosleep(&pause, NULL);
    }
    return 0;
}
