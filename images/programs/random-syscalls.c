/*
 * Makes random system calls with random arguments, as an ordinary user: the kernel must
 * answer each with a result or an errno, or kill the caller, and go on. The calls are made
 * by children, a hundred each, for many of them end the caller.
 *
 *   random-syscalls [COUNT [SEED]]
 *
 * Not for a host that matters: a child may send signals to any process of its user.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PER_CHILD 100
#define CALLS 460
#define USER 1000

static uint64_t state;
static char *area;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static long argument(void)
{
    static const char *const paths[] = { "", ".", "..", "a", "b/c", "/", "/proc/self/maps", "/dev/null", "/dev/zero", "/tmp" };
    switch (next() % 10) {
    case 0: return 0;
    case 1: return -1;
    case 2: return next() % 16; /* a file, or flags */
    case 3: return next() % 65536;
    case 4: return (long)next();
    case 5: return (long)(1UL << (next() % 64));
    case 6: return (long)(area + next() % 16384);
    case 7: return (long)(area + 4096 * (next() % 5)); /* the last one lies behind the area */
    case 8: return (long)paths[next() % 10];
    default: return (long)(0xffff800000000000UL + next() % 4096);
    }
}

/* What would only end the test: exits, and signals to everyone. */
static int is_left_out(long number, const long *args)
{
    if (number == SYS_exit || number == SYS_exit_group)
        return 1;
    return number == SYS_kill && (int)args[0] <= 1;
}

static void child(void)
{
    pid_t me = getpid();
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    setpgid(0, 0);
    alarm(2);
    for (int call = 0; call < PER_CHILD; call++) {
        long number = next() % CALLS;
        long args[6];
        for (int i = 0; i < 6; i++)
            args[i] = argument();
        if (is_left_out(number, args))
            continue;
        syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
        if (syscall(SYS_getpid) != me)
            syscall(SYS_exit_group, 0); /* the call was a fork, and this is its child */
    }
    syscall(SYS_exit_group, 0);
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 10000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    long children = (count + PER_CHILD - 1) / PER_CHILD;
    long killed = 0, late = 0;
    char folder[] = "/tmp/random-syscalls-XXXXXX";
    if (mkdtemp(folder) == NULL || chmod(folder, 0777) != 0 || chdir(folder) != 0) {
        perror("random-syscalls");
        return 1;
    }
    signal(SIGTTOU, SIG_IGN);
    for (long number = 0; number < children; number++) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("random-syscalls: fork");
            return 1;
        }
        if (pid == 0) {
            /* The parent keeps its user, so that no child's signal reaches it. */
            if (getuid() == 0 && (setgid(USER) != 0 || setuid(USER) != 0))
                _exit(1);
            state = seed * 0x9e3779b97f4a7c15u + number + 1;
            area = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            for (int at = 0; at < 16384; at += 8) {
                uint64_t word = next() % 3 == 0 ? next() : next() % 100;
                memcpy(area + at, &word, 8);
            }
            child();
        }
        int status = 0;
        struct timespec moment = { 0, 20 * 1000 * 1000 };
        int waited = 0;
        while (waitpid(pid, &status, WNOHANG) == 0) {
            if (waited++ == 500) { /* ten seconds: it has blocked its alarm */
                kill(pid, SIGKILL);
                late++;
            }
            nanosleep(&moment, NULL);
        }
        if (WIFSIGNALED(status))
            killed++;
    }
    printf("%ld children made %ld system calls: %ld were killed, %ld had to be; the kernel is alive\n", children,
           children * PER_CHILD, killed, late);
    return 0;
}
