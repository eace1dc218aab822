/*
 * A parent and three children talk over pipes: each child squares the numbers that
 * it is sent and exits with its own status. Prints the same on every Unix.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 3
#define NUMBERS 5

static void square(int from, int to, int status)
{
    int number;
    while (read(from, &number, sizeof number) == sizeof number) {
        number *= number;
        if (write(to, &number, sizeof number) != sizeof number)
            _exit(100);
    }
    _exit(status);
}

int main(void)
{
    for (int child = 0; child < CHILDREN; child++) {
        int down[2], up[2], status, sum = 0;
        if (pipe(down) < 0 || pipe(up) < 0) {
            perror("pipe");
            return 1;
        }
        pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            return 1;
        }
        if (pid == 0) {
            close(down[1]);
            close(up[0]);
            square(down[0], up[1], 10 + child);
        }
        close(down[0]);
        close(up[1]);
        for (int n = 1; n <= NUMBERS; n++) {
            int number = n + child;
            if (write(down[1], &number, sizeof number) != sizeof number) {
                perror("write");
                return 1;
            }
            if (read(up[0], &number, sizeof number) != sizeof number) {
                perror("read");
                return 1;
            }
            sum += number;
        }
        close(down[1]);
        close(up[0]);
        waitpid(pid, &status, 0);
        printf("child %d: sum of squares %d, exit status %d\n", child, sum, WEXITSTATUS(status));
    }
    return 0;
}
