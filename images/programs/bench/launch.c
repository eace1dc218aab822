// launch PROGRAM [ARG...]: runs it and writes "<nanoseconds from before fork to exit> <CPU ns of the program> <wait status>" to fd 3.
// A program of its own, so that how long the harness takes to start a process does not count.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc < 2) return 125;
  long long start = now_ns();
  pid_t child = fork();
  if (child < 0) { perror("launch: fork"); return 125; }
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); // a run that takes too long ends with its launcher
    close(3);
    execv(argv[1], argv + 1);
    perror("launch: exec");
    _exit(127);
  }
  int status;
  struct rusage usage;
  if (wait4(child, &status, 0, &usage) != child) { perror("launch: wait"); return 125; }
  long long end = now_ns();
  long long cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000LL + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;
  dprintf(3, "%lld %lld %d\n", end - start, cpu, status);
  return 0;
}
