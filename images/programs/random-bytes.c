/*
 * Executes random bytes as code, a page for each child, as an ordinary user: each child must
 * end by a signal or an exit, and the machine go on.
 *
 *   random-bytes [COUNT [SEED]]
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER 1000

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 500;
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    long ended[65] = { 0 };
    state = state * 0x9e3779b97f4a7c15u + 1;
    for (long number = 0; number < count; number++) {
        unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (code == MAP_FAILED) {
            perror("random-bytes: mmap");
            return 1;
        }
        for (int at = 0; at < 4096; at++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            code[at] = state >> 32;
        }
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            if (getuid() == 0 && (setgid(USER) != 0 || setuid(USER) != 0))
                _exit(1);
            alarm(1);
            ((void (*)(void))code)();
            _exit(0);
        }
        int status;
        if (waitpid(pid, &status, 0) == pid)
            ended[WIFSIGNALED(status) ? WTERMSIG(status) : 0]++;
        munmap(code, 4096);
    }
    printf("%ld pages of random bytes were executed; the machine is alive\n", count);
    for (int number = 0; number < 65; number++)
        if (ended[number] != 0)
            fprintf(stderr, "%s %d: %ld\n", number == 0 ? "exit or signal" : "signal", number, ended[number]);
    return 0;
}
