// One count: the compiler changes how fast the machine runs and nothing else. Real programs with it off, on, and switched on,
// off and made more or less eager at random instants give the same trace events, output and number of steps.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newRandom, randomBelow, type RandomState } from '../../kernel/lib/random.ts';
import { configureCompiler } from '../../kernel/machine/index.ts';
import { hashOf, runSimulation, simulate, simulationBase, type SimulationBase } from './test-machine.ts';

/** A small database: records in a hashed file of pages, looked up, changed, synced, read back. */
const DATABASE = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
struct record { unsigned key; double sum; char name[52]; };
static struct record page[64];
int main(void) {
  int fd = open("/root/records", O_RDWR | O_CREAT | O_TRUNC, 0600);
  unsigned x = 12345; double total = 0;
  if (ftruncate(fd, 64 * sizeof page)) return 1;
  for (int i = 0; i < 4000; i++) {
    x = x * 1103515245 + 12345;
    unsigned key = (x >> 8) % 4096, where = key / 64;
    if (pread(fd, page, sizeof page, where * sizeof page) < 0) return 2;
    struct record *r = &page[key % 64];
    r->key = key; r->sum += i / 7.0; snprintf(r->name, sizeof r->name, "record %u turn %d %.3f", key, i, r->sum);
    if (pwrite(fd, page, sizeof page, where * sizeof page) < 0) return 3;
    if (i % 500 == 0) fsync(fd);
  }
  for (int p = 0; p < 64; p++) {
    pread(fd, page, sizeof page, p * sizeof page);
    for (int i = 0; i < 64; i++) { total += page[i].sum * (page[i].key + 1); x = x * 31 + strlen(page[i].name); }
  }
  printf("%.6f %u\\n", total, x);
  return 0;
}
`;

const WORKLOADS: [string, string][] = [
  ['a compiler and what it makes', `cd /root && cat > db.c <<'END'\n${DATABASE}\nEND\ntcc -o db db.c && ./db && md5sum records`],
  ['scripts with loops and pipes', 'i=0; while [ $i -lt 300 ]; do echo "line $((i * 7919 % 1000)) $i"; i=$((i + 1)); done | sort | uniq | sed s/1/one/ | wc; for f in /etc/*; do test -f $f && cat $f; done 2>/dev/null | tr a-z A-Z | md5sum; (sleep 0.01; echo late) & echo early; wait; cat /proc/uptime /proc/self/stat | md5sum'],
]; // prettier-ignore

const THRESHOLDS = [1, 3, 20, 200, 2000];

describe('one count', () => {
  let base: SimulationBase;
  beforeAll(async () => {
    base = await simulationBase();
  });
  afterAll(() => base.close());

  it.each(WORKLOADS)('%s: the same with the compiler off, on, and switched at random', (_name, script) => {
    const run = (between?: RandomState, threshold?: number): object => {
      const one = simulate(base, { seed: 3, command: ['sh', '-c', script] });
      const { machine } = one.kernel;
      configureCompiler(machine, { enabled: threshold !== undefined, threshold: threshold ?? 1 });
      let steps = 0;
      while (one.exitStatus === null) {
        const most = between === undefined ? Infinity : 1 + randomBelow(between, 4000);
        const done = runSimulation(one, most);
        steps += done;
        if (done < most) break;
        if (between === undefined) continue;
        const eager = THRESHOLDS[randomBelow(between, THRESHOLDS.length)] ?? 1;
        configureCompiler(machine, { enabled: randomBelow(between, 3) > 0, threshold: eager });
      }
      return {
        status: one.exitStatus,
        steps,
        output: one.output,
        hash: hashOf(one),
        tsc: one.kernel.trap.instructions,
      };
    };
    const off = run();
    expect(off).toMatchObject({ status: 0 });
    expect(run(undefined, 30)).toEqual(off);
    for (const seed of [11, 12]) expect([seed, run(newRandom(seed), 100)]).toEqual([seed, off]);
  });
});
