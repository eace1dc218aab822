/* The real CPU's half of the lockstep test: runs each case of a file natively and writes the state that it leaves.
 *
 * Usage: host CASES RESULTS. The files are arrays of the structs below; lockstep/records.ts has the same layout.
 * A case runs by returning from a signal handler into it with all registers replaced; it ends at the int3 bytes around
 * its code, or at its own fault, in the same handler, which notes the state and goes on with the next case. A timer ends
 * what does not end by itself.
 * Compile with -DCODE= -DDATA= -DREADONLY= -DSTACK= -DWRITABLE_CODE= -DGS_BASE= (addresses). The pages around each are
 * not mapped.
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
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
#define CODE_BYTES (2 * PAGE)
#define PAGES 6 /* data, data, read-only, stack, writable code (2): those that are compared */
#define CHANGES_MAX 1024
#define TRAP_TIMEOUT 255
#define TICK_US 10000

struct test_case {
  uint32_t writes_code, code_offset, code_length, window_offset, window_length, unused[3];
  uint64_t gpr[16]; /* in the order of the encoding */
  uint64_t rflags;
  uint8_t fx[416]; /* as FXSAVE64 */
  uint8_t ymm[256]; /* upper halves */
  uint8_t window[640]; /* in the two data pages */
  uint8_t code[800];
  uint8_t padding[24];
};
_Static_assert(sizeof(struct test_case) == 2304, "as in records.ts");
struct result {
  uint32_t trap, error;
  uint64_t address, rip;
  uint64_t gpr[16];
  uint64_t rflags;
  uint8_t fx[416];
  uint8_t ymm[256];
  uint32_t change_count, unused;
  uint32_t changes[CHANGES_MAX]; /* offset << 8 | new byte; as many as there are */
};

static const int GREG[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
static struct test_case *cases;
static long case_count, current = -1, seen_by_tick = -1;
static uint8_t *results, *next_result;
static greg_t segments; /* CS and SS as they were */
static int results_file;
static uint8_t initial[PAGES * PAGE], pattern[4 * PAGE];
static uint8_t *code_alias; /* the code pages, writable, elsewhere */
static uint8_t *const pages[PAGES] = {(uint8_t *)DATA,  (uint8_t *)DATA + PAGE,          (uint8_t *)READONLY,
                                      (uint8_t *)STACK, (uint8_t *)WRITABLE_CODE, (uint8_t *)WRITABLE_CODE + PAGE};

/* Software-reserved bytes of the signal frame's FXSAVE area: which states follow (arch/x86/include/uapi/asm/sigcontext.h) */
static int has_ymm(const uint8_t *fx) {
  uint32_t magic;
  uint64_t features;
  memcpy(&magic, fx + 464, 4);
  memcpy(&features, fx + 472, 8);
  return magic == 0x46505853 && (features & 4) != 0;
}

static void note(ucontext_t *context, int timed_out) {
  struct result *r = (struct result *)next_result;
  greg_t *g = context->uc_mcontext.gregs;
  uint8_t *fx = (uint8_t *)context->uc_mcontext.fpregs;
  r->trap = timed_out ? TRAP_TIMEOUT : g[REG_TRAPNO];
  r->error = g[REG_ERR];
  r->address = r->trap == 14 ? (uint64_t)g[REG_CR2] : 0;
  r->rip = g[REG_RIP];
  for (int i = 0; i < 16; i++) r->gpr[i] = g[GREG[i]];
  r->rflags = g[REG_EFL];
  memcpy(r->fx, fx, 416);
  if (has_ymm(fx) && (fx[512] & 4)) memcpy(r->ymm, fx + 576, 256);
  else memset(r->ymm, 0, 256);
  uint32_t count = 0;
  for (int p = 0; p < PAGES; p++) {
    if (p == 2 || memcmp(pages[p], initial + p * PAGE, PAGE) == 0) continue;
    for (int i = 0; i < PAGE; i++) {
      if (pages[p][i] == initial[p * PAGE + i]) continue;
      if (count < CHANGES_MAX) r->changes[count++] = (uint32_t)(p * PAGE + i) << 8 | pages[p][i];
    }
  }
  r->change_count = count;
  r->unused = 0;
  next_result = (uint8_t *)&r->changes[count];
}

/* What of the code lies in the two pages; the rest would lie behind them. */
static void put_code(uint8_t *to, const struct test_case *c) {
  uint32_t length = c->code_length;
  if (c->code_offset + length > CODE_BYTES) length = CODE_BYTES - c->code_offset;
  memset(to, 0xcc, CODE_BYTES);
  memcpy(to + c->code_offset, c->code, length);
}

static void prepare(ucontext_t *context) {
  struct test_case *c = &cases[current];
  greg_t *g = context->uc_mcontext.gregs;
  memcpy(initial, pattern, sizeof pattern);
  memcpy(initial + c->window_offset, c->window, c->window_length);
  memset(initial + 4 * PAGE, 0xcc, CODE_BYTES);
  put_code(c->writes_code ? initial + 4 * PAGE : code_alias, c);
  for (int p = 0; p < PAGES; p++)
    if (p != 2) memcpy(pages[p], initial + p * PAGE, PAGE);
  for (int i = 0; i < 16; i++) g[GREG[i]] = c->gpr[i];
  g[REG_RIP] = (c->writes_code ? WRITABLE_CODE : CODE) + c->code_offset;
  g[REG_EFL] = c->rflags;
  g[REG_CSGSFS] = segments;
  uint8_t *fx = (uint8_t *)context->uc_mcontext.fpregs;
  uint32_t mask;
  memcpy(&mask, fx + 28, 4);
  memcpy(fx, c->fx, 416);
  memcpy(fx + 28, &mask, 4);
  fx[512] |= 3; /* XSTATE_BV: x87 and SSE are not in their initial state */
  if (has_ymm(fx)) {
    fx[512] |= 4;
    memcpy(fx + 576, c->ymm, 256);
  }
}

static void on_signal(int number, siginfo_t *info, void *raw) {
  (void)info;
  __asm__ volatile("pushf; andl $~0x244000, (%%rsp); popf" ::: "memory", "cc"); /* POPF may have set AC, ID, NT */
  if (number == SIGALRM) { /* a case that two ticks find at work does not end */
    int again = current == seen_by_tick;
    seen_by_tick = current;
    if (!again || current < 0) return;
  }
  if (current >= 0) note(raw, number == SIGALRM);
  else segments = ((ucontext_t *)raw)->uc_mcontext.gregs[REG_CSGSFS];
  if (++current == case_count) _exit(ftruncate(results_file, next_result - results) < 0);
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
  results_file = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (results_file < 0 || ftruncate(results_file, case_count * sizeof(struct result)) < 0) return perror(argv[2]), 1;
  results = mmap(0, case_count * sizeof(struct result), PROT_READ | PROT_WRITE, MAP_SHARED, results_file, 0);
  int code = memfd_create("code", 0);
  if (cases == MAP_FAILED || results == MAP_FAILED || code < 0 || ftruncate(code, CODE_BYTES) < 0) return perror("mmap"), 1;
  next_result = results;

  code_alias = mmap(0, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, code, 0);
  void *at_code = mmap((void *)CODE, CODE_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE, code, 0);
  if (code_alias == MAP_FAILED || at_code == MAP_FAILED) return perror("mmap"), 1;
  map_at(DATA, 2 * PAGE, PROT_READ | PROT_WRITE);
  map_at(READONLY, PAGE, PROT_READ | PROT_WRITE);
  map_at(STACK, PAGE, PROT_READ | PROT_WRITE);
  map_at(WRITABLE_CODE, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC);
  for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (uint8_t)(i * 167 + (i >> 8) * 13 + 5);
  memcpy((void *)READONLY, pattern + 2 * PAGE, PAGE);
  mprotect((void *)READONLY, PAGE, PROT_READ);
  syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);

  stack_t alternate = {.ss_sp = malloc(1 << 18), .ss_size = 1 << 18};
  sigaltstack(&alternate, 0);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  sigaddset(&action.sa_mask, SIGALRM);
  const int numbers[] = {SIGTRAP, SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGALRM};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaction(numbers[i], &action, 0);
  struct itimerval every = {{0, TICK_US}, {0, TICK_US}};
  setitimer(ITIMER_REAL, &every, 0);
  __asm__ volatile("int3");
  return 3;
}
