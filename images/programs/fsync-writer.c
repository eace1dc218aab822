/*
 * Appends numbered records to a file and prints the number of each once fsync has
 * returned: from then on it must survive whatever happens to the host.
 *
 *   fsync-writer FILE COUNT     writes; COUNT 0 writes for ever
 *   fsync-writer -c FILE        prints how many records are there, all in order
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int check(const char *path)
{
    char line[256];
    long count = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        long number;
        if (strchr(line, '\n') == NULL)
            break; /* cut off: it was never promised */
        if (sscanf(line, "record %ld", &number) != 1 || number != count + 1) {
            printf("after record %ld comes: %s", count, line);
            return 1;
        }
        count = number;
    }
    printf("%ld\n", count);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "-c") == 0)
        return check(argv[2]);
    if (argc != 3) {
        fprintf(stderr, "usage: fsync-writer FILE COUNT | fsync-writer -c FILE\n");
        return 2;
    }
    long last = atol(argv[2]);
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0) {
        perror(argv[1]);
        return 1;
    }
    for (long number = 1; last == 0 || number <= last; number++) {
        char line[128];
        int length = snprintf(line, sizeof line, "record %ld ", number);
        memset(line + length, '.', 100 - length);
        line[99] = '\n';
        if (write(fd, line, 100) != 100 || fsync(fd) != 0) {
            perror("fsync-writer");
            return 1;
        }
        printf("%ld\n", number);
        fflush(stdout);
    }
    return 0;
}
