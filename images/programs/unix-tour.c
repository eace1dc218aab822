/*
 * A tour of what a Unix process can do: fork, exec, pipes, signals, memory maps, files, waiting.
 * It prints no process numbers, times or addresses, so that every Unix prints the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void check(int holds, const char *what)
{
    printf("%-60s %s\n", what, holds ? "yes" : "NO");
    fflush(stdout);
}

static int status_of(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* ---- exec ---- */

static void exec_self(const char *self)
{
    int ends[2];
    char text[200];
    size_t length = 0;
    ssize_t got;
    pipe(ends);
    pid_t pid = fork();
    if (pid == 0) {
        char *args[] = { "other-name", "--child", "two words", "", NULL };
        char *environment[] = { "COLOUR=green", NULL };
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        execve(self, args, environment);
        _exit(99);
    }
    close(ends[1]);
    while ((got = read(ends[0], text + length, sizeof text - 1 - length)) > 0)
        length += got;
    text[length] = 0;
    close(ends[0]);
    int status = status_of(pid);
    check(strcmp(text, "other-name|two words||green") == 0, "exec passes arguments and environment");
    check(WIFEXITED(status) && WEXITSTATUS(status) == 42, "exec'd program's exit status arrives");

    pid = fork();
    if (pid == 0) {
        char *args[] = { "none", NULL };
        execve("/no/such/program", args, NULL);
        _exit(errno == ENOENT ? 1 : 2);
    }
    check(WEXITSTATUS(status_of(pid)) == 1, "exec of nothing gives ENOENT");
    pid = fork();
    if (pid == 0) {
        char *args[] = { "directory", NULL };
        execve("/", args, NULL);
        _exit(errno == EACCES ? 1 : 2);
    }
    check(WEXITSTATUS(status_of(pid)) == 1, "exec of a directory gives EACCES");
}

/* ---- pipes ---- */

static void pipes(void)
{
    int ends[2];
    char buffer[4096];
    long total = 0;
    ssize_t got;
    unsigned sum = 0;
    pipe(ends);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        for (int i = 0; i < 300; i++) {
            memset(buffer, i, sizeof buffer);
            for (size_t at = 0; at < sizeof buffer;) {
                ssize_t put = write(ends[1], buffer + at, sizeof buffer - at);
                if (put < 0)
                    _exit(1);
                at += put;
            }
        }
        _exit(0);
    }
    close(ends[1]);
    while ((got = read(ends[0], buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            sum = sum * 31 + (unsigned char)buffer[i];
        total += got;
    }
    close(ends[0]);
    status_of(pid);
    printf("pipe carried %ld bytes, checksum %08x\n", total, sum);

    pipe(ends);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    check(read(ends[0], buffer, 1) == -1 && errno == EAGAIN, "an empty pipe gives EAGAIN");
    write(ends[1], "abc", 3);
    check(read(ends[0], buffer, 10) == 3, "a short read takes what is there");
    close(ends[1]);
    check(read(ends[0], buffer, 1) == 0, "no writer is end of file");
    close(ends[0]);

    pipe(ends);
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        signal(SIGPIPE, SIG_DFL);
        close(ends[0]);
        sleep(0);
        for (;;)
            if (write(ends[1], "x", 1) < 0)
                _exit(1);
    }
    close(ends[1]);
    close(ends[0]);
    int status = status_of(pid);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, "no reader kills with SIGPIPE");
}

/* ---- signals ---- */

static volatile sig_atomic_t caught, value, children;
static sigjmp_buf place;

static void on_signal(int number)
{
    caught = number;
}

static void on_value(int number, siginfo_t *info, void *context)
{
    (void)context;
    caught = number;
    value = info->si_value.sival_int;
}

static void on_child(int number)
{
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        children++;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    value = info->si_code;
    siglongjmp(place, number);
}

static void handle(int number, void (*handler)(int), void (*action)(int, siginfo_t *, void *), int flags)
{
    struct sigaction act;
    memset(&act, 0, sizeof act);
    if (action != NULL)
        act.sa_sigaction = action;
    else
        act.sa_handler = handler;
    act.sa_flags = flags | (action != NULL ? SA_SIGINFO : 0);
    sigaction(number, &act, NULL);
}

static void signals(void)
{
    sigset_t set, old, pending;
    union sigval number;
    handle(SIGUSR1, on_signal, NULL, 0);
    raise(SIGUSR1);
    check(caught == SIGUSR1, "a handler runs");

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    caught = 0;
    kill(getpid(), SIGUSR1);
    sigpending(&pending);
    check(caught == 0 && sigismember(&pending, SIGUSR1), "a blocked signal waits");
    sigset_t none;
    sigemptyset(&none);
    check(sigsuspend(&none) == -1 && errno == EINTR && caught == SIGUSR1, "sigsuspend lets it through");
    sigprocmask(SIG_SETMASK, &old, NULL);

    handle(SIGRTMIN, NULL, on_value, 0);
    number.sival_int = 1234;
    sigqueue(getpid(), SIGRTMIN, number);
    check(caught == SIGRTMIN && value == 1234, "sigqueue carries a value");

    handle(SIGCHLD, on_child, NULL, SA_RESTART);
    for (int i = 0; i < 5; i++)
        if (fork() == 0)
            _exit(i);
    struct timespec moment = { 0, 10 * 1000 * 1000 };
    for (int i = 0; i < 500 && children < 5; i++)
        nanosleep(&moment, NULL);
    printf("SIGCHLD told of %d children\n", (int)children);
    signal(SIGCHLD, SIG_DFL);

    handle(SIGALRM, on_signal, NULL, 0);
    struct itimerval timer = { { 0, 0 }, { 0, 20 * 1000 } };
    setitimer(ITIMER_REAL, &timer, NULL);
    caught = 0;
    struct timespec length = { 5, 0 }, rest = { 0, 0 };
    int slept = nanosleep(&length, &rest);
    check(slept == -1 && errno == EINTR && caught == SIGALRM && rest.tv_sec == 4, "a timer interrupts a sleep");

    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGTERM, SIG_DFL);
        for (;;)
            pause();
    }
    int status;
    kill(pid, SIGSTOP);
    waitpid(pid, &status, WUNTRACED);
    check(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "a stopped child is reported");
    kill(pid, SIGCONT);
    waitpid(pid, &status, WCONTINUED);
    check(WIFCONTINUED(status), "a continued child is reported");
    check(waitpid(pid, &status, WNOHANG) == 0, "a running child is not waited for");
    kill(pid, SIGTERM);
    status = status_of(pid);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "SIGTERM ends it");
    check(waitpid(-1, NULL, 0) == -1 && errno == ECHILD, "without children there is ECHILD");
}

/* ---- memory ---- */

static void memory(void)
{
    long page = sysconf(_SC_PAGESIZE);
    char *mine = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *ours = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    strcpy(mine, "parent");
    strcpy(ours, "parent");
    pid_t pid = fork();
    if (pid == 0) {
        strcpy(mine, "child");
        strcpy(ours, "child");
        _exit(0);
    }
    status_of(pid);
    check(strcmp(mine, "parent") == 0, "a private map is copied on write");
    check(strcmp(ours, "child") == 0, "a shared map is shared");

    handle(SIGSEGV, NULL, on_fault, SA_NODEFER);
    mprotect(mine, page, PROT_READ);
    volatile char *bytes = mine;
    int number = sigsetjmp(place, 1);
    if (number == 0)
        bytes[0] = 'x';
    check(number == SIGSEGV && value == SEGV_ACCERR, "a write to a read-only page is SEGV_ACCERR");
    munmap(mine + page, page);
    number = sigsetjmp(place, 1);
    if (number == 0)
        bytes[page] = 'x';
    check(number == SIGSEGV && value == SEGV_MAPERR, "a write to an unmapped page is SEGV_MAPERR");
    signal(SIGSEGV, SIG_DFL);
    check(bytes[2 * page] == 0, "the page behind the hole is still there");
    pid = fork();
    if (pid == 0) {
        *(volatile int *)8 = 1;
        _exit(0);
    }
    int status = status_of(pid);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "a wild write kills with SIGSEGV");
    pid = fork();
    if (pid == 0) {
        volatile int zero = 0, seven = 7;
        _exit(seven / zero);
    }
    status = status_of(pid);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGFPE, "a division by zero kills with SIGFPE");
}

/* ---- files ---- */

static void files(void)
{
    char folder[] = "/tmp/unix-tour-XXXXXX", buffer[64];
    struct stat info;
    long page = sysconf(_SC_PAGESIZE);
    check(mkdtemp(folder) != NULL && chdir(folder) == 0, "a folder of our own");
    int fd = open("one", O_RDWR | O_CREAT | O_EXCL, 0640);
    check(open("one", O_RDWR | O_CREAT | O_EXCL, 0640) == -1 && errno == EEXIST, "O_EXCL refuses what exists");
    write(fd, "0123456789", 10);
    lseek(fd, -4, SEEK_END);
    check(read(fd, buffer, 10) == 4 && memcmp(buffer, "6789", 4) == 0, "lseek counts from the end");
    ftruncate(fd, 2 * page);
    fstat(fd, &info);
    printf("size %ld, mode %o, links %d\n", (long)info.st_size / page, (int)(info.st_mode & 07777), (int)info.st_nlink);
    char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(map[3] == '3' && map[page] == 0, "a file map shows the file");
    memcpy(map + page, "mapped", 6);
    msync(map, 2 * page, MS_SYNC);
    check(pread(fd, buffer, 6, page) == 6 && memcmp(buffer, "mapped", 6) == 0, "a file map changes the file");
    munmap(map, 2 * page);
    link("one", "two");
    rename("two", "three");
    stat("three", &info);
    check(info.st_nlink == 2 && access("two", F_OK) == -1, "link and rename");
    symlink("three", "four");
    check(readlink("four", buffer, sizeof buffer) == 5 && lstat("four", &info) == 0 && S_ISLNK(info.st_mode), "symlink");
    unlink("one");
    unlink("three");
    check(stat("four", &info) == -1 && errno == ENOENT, "a dangling link leads nowhere");
    check(pread(fd, buffer, 1, 0) == 1 && buffer[0] == '0', "an open file outlives its name");
    int appender = open("five", O_WRONLY | O_CREAT | O_APPEND, 0600);
    write(appender, "ab", 2);
    lseek(appender, 0, SEEK_SET);
    write(appender, "cd", 2);
    fsync(appender);
    fstat(appender, &info);
    check(info.st_size == 4, "O_APPEND writes at the end");
    check(rmdir(folder) == -1 && errno == ENOTEMPTY, "a full folder stays");
    unlink("four");
    unlink("five");
    check(chdir("/") == 0 && rmdir(folder) == 0, "an empty folder goes");
    close(fd);
    close(appender);
    check(write(appender, "x", 1) == -1 && errno == EBADF, "a closed file is EBADF");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--child") == 0) {
        const char *colour = getenv("COLOUR");
        printf("%s|%s|%s|%s", argv[0], argv[2], argv[3], colour != NULL ? colour : "none");
        return 42;
    }
    signal(SIGPIPE, SIG_IGN);
    umask(022);
    exec_self(argc > 1 ? argv[1] : "/proc/self/exe");
    pipes();
    signals();
    memory();
    files();
    printf("done\n");
    return 0;
}
