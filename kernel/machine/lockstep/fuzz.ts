// Robustness: random page tables, random control registers and MSRs, random bytes and random instructions as code, at
// CPL 0 and CPL 3. Nothing is compared; what must hold is that no exception of ours comes out, that every run() comes back,
// and that nothing outside guest RAM and the CPU's own context changes (fuzz-checks.ts).
//
//   node kernel/machine/lockstep/fuzz.ts [--minutes N] [--cases N] [--seed S] [--cpu v2|v3] [--compiler off|on|eager]
//
// A failure prints its seed; --seed S --cases 1 repeats it. Each case begins with everything reset. The cases run in a
// worker, so that a hang is noticed and its seed printed, too.

import { parseArgs } from 'node:util';
import { Worker, isMainThread, workerData } from 'node:worker_threads';
import { contextOf } from '../cpu.ts';
import { CONTEXT, SYSTEM } from '../layout.ts';
import type { CpuModel } from '../machine.ts';
import { REGISTER } from '../machine.ts';
import { loadContext, newContext, writeRegister } from '../registers.ts';
import { dropCaches, flushTlb, invalidatePage, run, setPageTable } from '../run.ts';
import { resetSystemState } from '../system-state.ts';
import { MODEL_FEATURES } from '../cpuid.ts';
import type { FuzzMachine } from './fuzz-checks.ts';
import { bootFuzzMachine, findDamage } from './fuzz-checks.ts';
import { FUZZ_FRAMES, fillMemory, pickCodeAddress, setRegisters } from './fuzz-state.ts';
import { below, bits32, chance, oneIn } from './values.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly cpu: CpuModel;
  readonly compiler: 'off' | 'on' | 'eager';
}
export interface FuzzReport {
  cases: number;
  instructions: number;
  exceptions: number;
  /** Seed and what went wrong. */
  readonly failures: { readonly seed: number; readonly text: string }[];
}

/** Runs of one case, each until a trap or the budget; like a kernel, we do something about a trap and go on. */
const RUNS = 60;
const BUDGET = 2000;
/** Longer than any run() of so many instructions should last, even on a slow host. */
const SLOW_MS = 5000;

const seedOf = (first: number, number: number): number => (first + number) >>> 0;

/** One case; what went wrong, or nothing. */
export function fuzzOnce(fuzz: FuzzMachine, report: FuzzReport, seed: number): void {
  const { machine } = fuzz;
  const from = chance(Math.imul(seed, 0x9e37_79b1));
  bits32(from);
  const root = fillMemory(machine, from);
  dropCaches(machine);
  resetSystemState(machine.view, contextOf(0), 0, MODEL_FEATURES[machine.config.cpuModel]);
  loadContext(machine, 0, newContext(oneIn(from, 2) ? 'kernel' : 'user'));
  setPageTable(machine, 0, root);
  setRegisters(machine, from);
  try {
    for (let i = 0; i < RUNS; i++) {
      const begun = performance.now();
      const trap = run(machine, 0, 1 + below(from, BUDGET));
      const lasted = performance.now() - begun;
      report.instructions += trap.executed;
      if (lasted > SLOW_MS)
        throw new Error(`run() took ${Math.round(lasted)} ms for ${trap.executed} instructions`);
      if (trap.kind === 'exception') report.exceptions++;
      // Where nothing runs any more, the first page table comes back
      if (trap.executed === 0 && oneIn(from, 2)) setPageTable(machine, 0, root);
      goOn(fuzz, from, trap.kind !== 'budget' && !oneIn(from, 8));
    }
    const damage = findDamage(fuzz);
    if (damage !== undefined) throw new Error(damage);
  } catch (error) {
    report.failures.push({
      seed,
      text: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }
  report.cases++;
}

/** What a kernel might do between two runs. */
function goOn({ machine }: FuzzMachine, from: ReturnType<typeof chance>, isNewStart: boolean): void {
  const kind = below(from, 40);
  if (kind === 0) dropCaches(machine);
  else if (kind === 1) flushTlb(machine, 0);
  else if (kind === 2) invalidatePage(machine, 0, below(from, FUZZ_FRAMES) * 4096);
  else if (kind === 3) setPageTable(machine, 0, below(from, FUZZ_FRAMES) * 4096);
  else if (kind === 4) {
    const context = newContext(oneIn(from, 2) ? 'kernel' : 'user');
    context.set(machine.bytes.subarray(contextOf(0), contextOf(0) + CONTEXT.rip), 0);
    loadContext(machine, 0, context);
  } else if (kind === 5) {
    // A random system register, within what an MSR or a control register can hold
    const field = SYSTEM.dr + 8 * below(from, 4);
    machine.view.setUint32(contextOf(0) + field, bits32(from), true);
  }
  if (isNewStart || kind > 35) {
    pickCodeAddress(from);
    writeRegister(machine, 0, REGISTER.rip, (from.low >>> 0) + (from.high | 0) * 2 ** 32);
    if (oneIn(from, 4)) setRegisters(machine, from);
  }
}

export function newReport(): FuzzReport {
  return { cases: 0, instructions: 0, exceptions: 0, failures: [] };
}

/** Cases from consecutive seeds until so many are done or the time is up; `tell` hears of each seed before it begins. */
export function fuzzMany(
  options: FuzzOptions,
  limit: { readonly cases: number; readonly milliseconds: number },
  tell: (seed: number) => void = () => undefined,
): FuzzReport {
  const report = newReport();
  const fuzz = bootFuzzMachine(options.cpu, options.compiler);
  const end = performance.now() + limit.milliseconds;
  for (let i = 0; i < limit.cases && performance.now() < end && report.failures.length < 10; i++) {
    const seed = seedOf(options.seed, i);
    tell(seed);
    fuzzOnce(fuzz, report, seed);
  }
  return report;
}

interface Job {
  readonly options: FuzzOptions;
  readonly cases: number;
  readonly milliseconds: number;
  /** The seed that is running, and a count. */
  readonly progress: SharedArrayBuffer;
}
const isJob = (value: unknown): value is Job =>
  typeof value === 'object' && value !== null && 'progress' in value;

function work(job: Job): void {
  const progress = new Int32Array(job.progress);
  let shown = performance.now();
  const report = fuzzMany(job.options, job, (seed) => {
    Atomics.store(progress, 0, seed);
    Atomics.add(progress, 1, 1);
    if (performance.now() - shown < 30_000) return;
    shown = performance.now();
    process.stdout.write(`at seed ${seed}\n`);
  });
  for (const { seed, text } of report.failures) process.stdout.write(`seed ${seed}: ${text}\n`);
  const { cases, instructions, exceptions, failures } = report;
  process.stdout.write(
    `${cases} cases, ${instructions} instructions, ${exceptions} exceptions, ${failures.length} failures\n`,
  );
  process.exitCode = failures.length === 0 ? 0 : 1;
}

const HANG_MS = 60_000;

function main(): void {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string' },
      cases: { type: 'string' },
      seed: { type: 'string', default: '1' },
      cpu: { type: 'string', default: 'v3' },
      compiler: { type: 'string', default: 'on' },
    },
  });
  const progress = new SharedArrayBuffer(8);
  const seen = new Int32Array(progress);
  const { cpu, compiler } = values;
  const job: Job = {
    options: {
      seed: Number(values.seed),
      cpu: cpu === 'v2' ? 'v2' : 'v3',
      compiler: compiler === 'off' || compiler === 'eager' ? compiler : 'on',
    },
    cases: values.cases === undefined ? Infinity : Number(values.cases),
    milliseconds: Number(values.minutes ?? (values.cases === undefined ? '1' : 'Infinity')) * 60_000,
    progress,
  };
  const begun = performance.now();
  const worker = new Worker(new URL(import.meta.url), { workerData: job });
  let last = -1;
  const watchdog = setInterval(() => {
    const count = Atomics.load(seen, 1);
    if (count !== last) {
      last = count;
      return;
    }
    process.stdout.write(`seed ${Atomics.load(seen, 0) >>> 0}: hangs\n`);
    process.exit(1);
  }, HANG_MS);
  worker.on('error', (error) =>
    process.stdout.write(`seed ${Atomics.load(seen, 0) >>> 0}: ${String(error)}\n`),
  );
  worker.on('exit', (code) => {
    clearInterval(watchdog);
    const rate = Atomics.load(seen, 1) / ((performance.now() - begun) / 1000);
    process.stdout.write(
      `${Math.round(rate)} cases a second, from seed ${values.seed}, ${cpu}, compiler ${compiler}\n`,
    );
    process.exitCode = code;
  });
}

if (isMainThread) {
  if (import.meta.main) main();
} else if (isJob(workerData)) work(workerData);
