/* The real CPU's half of the lockstep test: runs each case of a file natively and writes the state that it leaves.
 *
 * Usage: host CASES RESULTS. Both files are arrays of the structs below; lockstep/records.ts has the same layout.
 * A case runs by returning from a signal handler into it with all registers replaced; it ends at the int3 bytes around
 * its code, or at its own fault, in the same handler, which notes the state and goes on with the next case.
 * Compile with -DCODE= -DDATA= -DREADONLY= -DSTACK= -DGS_BASE= (addresses). The pages around each are not mapped.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
#define CODE_BYTES (2 * PAGE)
#define MEMORY_BYTES (4 * PAGE) /* data, data, read-only, stack: compared as one */
#define CHANGES_MAX 1024

struct test_case {
  uint32_t code_offset, code_length;
  uint8_t code[64];
  uint64_t gpr[16]; /* in the order of the encoding */
  uint64_t rflags;
  uint8_t fx[512]; /* as FXSAVE64 */
  uint32_t window_offset, window_length; /* in the two data pages */
  uint8_t window[640];
};
struct result {
  uint32_t trap, error;
  uint64_t address, rip;
  uint64_t gpr[16];
  uint64_t rflags;
  uint8_t fx[512];
  uint32_t change_count, unused;
  uint32_t changes[CHANGES_MAX]; /* offset << 8 | new byte */
};

static const int GREG[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
static struct test_case *cases;
static long case_count, current = -1;
static struct result *results;
static uint8_t initial[MEMORY_BYTES], pattern[MEMORY_BYTES];
static uint8_t *const pages[4] = {(uint8_t *)DATA, (uint8_t *)DATA + PAGE, (uint8_t *)READONLY, (uint8_t *)STACK};

static void note(ucontext_t *context, siginfo_t *info) {
  struct result *r = &results[current];
  greg_t *g = context->uc_mcontext.gregs;
  r->trap = g[REG_TRAPNO];
  r->error = g[REG_ERR];
  r->address = r->trap == 14 ? (uint64_t)g[REG_CR2] : 0;
  r->rip = g[REG_RIP];
  for (int i = 0; i < 16; i++) r->gpr[i] = g[GREG[i]];
  r->rflags = g[REG_EFL];
  memcpy(r->fx, context->uc_mcontext.fpregs, 416);
  r->change_count = 0;
  for (int p = 0; p < 4; p++) {
    if (p == 2 || memcmp(pages[p], initial + p * PAGE, PAGE) == 0) continue;
    for (int i = 0; i < PAGE; i++) {
      if (pages[p][i] == initial[p * PAGE + i]) continue;
      if (r->change_count < CHANGES_MAX) r->changes[r->change_count++] = (uint32_t)(p * PAGE + i) << 8 | pages[p][i];
    }
  }
  (void)info;
}

static void prepare(ucontext_t *context) {
  struct test_case *c = &cases[current];
  greg_t *g = context->uc_mcontext.gregs;
  memset((void *)CODE, 0xcc, CODE_BYTES);
  memcpy((uint8_t *)CODE + c->code_offset, c->code, c->code_length);
  memcpy(initial, pattern, MEMORY_BYTES);
  memcpy(initial + c->window_offset, c->window, c->window_length);
  for (int p = 0; p < 4; p++)
    if (p != 2) memcpy(pages[p], initial + p * PAGE, PAGE);
  for (int i = 0; i < 16; i++) g[GREG[i]] = c->gpr[i];
  g[REG_RIP] = CODE + c->code_offset;
  g[REG_EFL] = c->rflags;
  uint8_t *fx = (uint8_t *)context->uc_mcontext.fpregs;
  uint32_t mask;
  memcpy(&mask, fx + 28, 4);
  memcpy(fx, c->fx, 416);
  memcpy(fx + 28, &mask, 4);
  fx[512] |= 3; /* XSTATE_BV: x87 and SSE are not in their initial state */
}

static void on_signal(int number, siginfo_t *info, void *raw) {
  (void)number;
  if (current >= 0) note(raw, info);
  if (++current == case_count) _exit(0);
  prepare(raw);
}

static void *map_at(uint64_t address, size_t length, int protection) {
  void *got = mmap((void *)address, length, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (got == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  return got;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int in = open(argv[1], O_RDONLY);
  struct stat status;
  if (in < 0 || fstat(in, &status) < 0) return perror(argv[1]), 1;
  case_count = status.st_size / sizeof(struct test_case);
  cases = mmap(0, status.st_size, PROT_READ, MAP_PRIVATE, in, 0);
  int out = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (out < 0 || ftruncate(out, case_count * sizeof(struct result)) < 0) return perror(argv[2]), 1;
  results = mmap(0, case_count * sizeof(struct result), PROT_READ | PROT_WRITE, MAP_SHARED, out, 0);
  if (cases == MAP_FAILED || results == MAP_FAILED) return perror("mmap"), 1;

  map_at(CODE, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC);
  map_at(DATA, 2 * PAGE, PROT_READ | PROT_WRITE);
  map_at(READONLY, PAGE, PROT_READ | PROT_WRITE);
  map_at(STACK, PAGE, PROT_READ | PROT_WRITE);
  for (int i = 0; i < MEMORY_BYTES; i++) pattern[i] = (uint8_t)(i * 167 + (i >> 8) * 13 + 5);
  memcpy((void *)READONLY, pattern + 2 * PAGE, PAGE);
  mprotect((void *)READONLY, PAGE, PROT_READ);
  syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);

  stack_t alternate = {.ss_sp = malloc(1 << 18), .ss_size = 1 << 18};
  sigaltstack(&alternate, 0);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  const int numbers[] = {SIGTRAP, SIGSEGV, SIGFPE, SIGILL, SIGBUS};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaction(numbers[i], &action, 0);
  __asm__ volatile("int3");
  return 3;
}
