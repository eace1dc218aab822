// Runs batches of cases on the real CPU and in the tiers of the emulated one, and notes what differs. In the compiler's tier a
// case runs three times from the same state, so that what the first pass found hot is compiled in the later ones.

import { configureTier } from './tiers.ts';
import type { Tier } from './tiers.ts';
import { caseNamed, vocabularyFor, formsOf, onHost, seedOf } from './cases.ts';
import type { CaseOptions, Form } from './cases.ts';
import { differences, isEqual } from './compare.ts';
import type { Emulated } from './emulated.ts';
import { bootEmulated, runEmulated, runPasses } from './emulated.ts';
import { caseFor } from './generate.ts';
import { goesAstray } from './listing.ts';
import type { NativeHost } from './native.ts';
import { disassemble, runNative } from './native.ts';
import { shrink } from './shrink.ts';
import { programFor } from './program.ts';
import type { Batch, Case, Result } from './records.ts';
import { STATE, TRAP_BUDGET, TRAP_TIMEOUT, batchOf, newBatch, newResult } from './records.ts';
import { hasOtherWays } from './vendor.ts';
import type { CpuModel } from '../machine.ts';

const BATCH = 4000;
const COMPILER_PASSES = 3;
/** Where both tiers are judged, one of so many cases is compiled too: to compile takes a hundred times as long. */
const ALL_COMPILED = 100; // in a batch that small: cases by name
const COMPILED_ONE_IN = { form: 8, program: 4 } as const;

export interface Failure {
  readonly name: string;
  readonly encoding: string;
  readonly seed: number;
  /** Makes the case again. */
  readonly repeat: string;
  readonly tier: Tier;
  readonly code: Uint8Array;
  readonly lines: readonly string[];
}

export interface Judge {
  readonly host: NativeHost;
  readonly tiers: readonly { readonly tier: Tier; readonly emulated: Emulated; readonly passes: number }[];
  readonly x87Pointers: boolean;
  readonly batch: Batch;
  readonly waiting: { form: Omit<Form, 'entry'>; seed: number }[];
  readonly result: Result;
  cases: number;
  compiled: number; // of these, in the compiler's tier
  timeouts: number;
  failures: Failure[];
}

export function newJudge(
  host: NativeHost,
  tiers: Judge['tiers'],
  x87Pointers: boolean,
  batchSize: number = BATCH,
): Judge {
  // prettier-ignore
  return {
    host, tiers, x87Pointers, batch: newBatch(batchSize), waiting: [], result: newResult(), cases: 0, compiled: 0, timeouts: 0, failures: [],
  }; // prettier-ignore
}

/** One machine for each tier. */
export function bootTiers(tiers: readonly Tier[], cpuModel: CpuModel): Judge['tiers'] {
  return tiers.map((tier) => {
    const emulated = bootEmulated(cpuModel);
    configureTier(emulated.machine, tier);
    return { tier, emulated, passes: tier === 'compiler' ? COMPILER_PASSES : 1 };
  });
}

/** The next case to fill in; `judgeWaiting` when the batch is full. */
export function nextCase(judge: Judge): Case {
  if (judge.waiting.length === judge.batch.cases.length) judgeWaiting(judge);
  const test = judge.batch.cases[judge.waiting.length];
  if (test === undefined) throw new Error('invariant broken: a batch has room after it was judged');
  return test;
}

export function judgeWaiting(judge: Judge): void {
  const { waiting, host, batch, tiers, result } = judge;
  if (waiting.length === 0) return;
  const natives = runNative(host, batch, waiting.length);
  if (natives.length !== waiting.length)
    throw new Error(`${waiting.length} cases gave ${natives.length} results`);
  waiting.forEach(({ form, seed }, i) => {
    const [native, test] = [natives[i], batch.cases[i]];
    if (native === undefined || test === undefined) return;
    if (native.state[STATE.trap] === TRAP_TIMEOUT) {
      judge.timeouts++;
      return;
    }
    let executed = -1;
    let endless = false;
    const share = COMPILED_ONE_IN[form.name === 'program' ? 'program' : 'form'];
    for (const { tier, emulated, passes } of tiers) {
      if (tier === 'compiler') {
        if (tiers.length > 1 && (seed >>> 5) % share !== 0 && waiting.length > ALL_COMPILED) continue;
        judge.compiled++;
      }
      const failures: Failure[] = [];
      let isOursAlone = false;
      runPasses(emulated, test, passes, result, (ours, pass) => {
        if (failures.length > 0 || endless) return;
        // Longer than it pays to interpret; but what ends in one tier must end in the other
        if (ours.state[STATE.trap] === TRAP_BUDGET && executed < 0) {
          endless = true;
          judge.timeouts++;
          return;
        }
        const { x87Pointers } = judge;
        const { map } = emulated.machine.code;
        const lines = isEqual(form.name, native, ours) && !x87Pointers
          ? []
          : differences(form.name, test, native, ours, { x87Pointers, mmx: form.mmx, encoding: form.encoding, map }); // prettier-ignore
        if (executed < 0) executed = ours.executed;
        else if (executed !== ours.executed) {
          lines.push(`instructions: ${executed} before, now ${ours.executed}`);
          isOursAlone = true;
        }
        if (lines.length === 0) return;
        if (passes > 1) lines.push(`in pass ${pass + 1}`);
        failures.push({
          name: form.name, encoding: form.encoding, seed, tier, lines,
          repeat: `${form.label} ${seed}`, code: test.code.slice(0, test.codeLength),
        }); // prettier-ignore
      });
      // Beside its instructions it may meet what is undefined, which another vendor's CPU leaves otherwise
      const isOpen = failures.length > 0 && !isOursAlone && form.name === 'program' && hasOtherWays();
      if (!isOpen || !goesAstray(emulated, test)) judge.failures.push(...failures);
    }
  });
  judge.cases += waiting.length;
  waiting.length = 0;
}

/** Adds `count` cases of each form from number `first` on, and programs likewise, as long as `goesOn`. */
export interface Round {
  readonly seed: number;
  readonly forms: readonly Form[];
  readonly first: number;
  readonly count: number;
  readonly families: readonly string[];
  readonly vocabulary: ReturnType<typeof vocabularyFor>;
  readonly firstProgram: number;
  readonly programs: number;
}
export function runRound(judge: Judge, round: Round, goesOn: () => boolean): void {
  for (const form of round.forms) {
    for (let number = round.first; number < round.first + round.count; number++) {
      const test = nextCase(judge);
      const seed = seedOf(form.label, round.seed, number);
      caseFor(form.entry, seed, test);
      judge.waiting.push({ form, seed });
    }
    if (!goesOn()) break;
  }
  const label = `program ${round.families.join(',')}`;
  for (let number = round.firstProgram; number < round.firstProgram + round.programs; number++) {
    if (!goesOn()) break;
    const test = nextCase(judge);
    const seed = seedOf(label, round.seed, number);
    const encoding = programFor(round.vocabulary, seed, test);
    judge.waiting.push({ form: { name: 'program', encoding, label, mmx: true }, seed });
  }
}

export interface Options extends CaseOptions {
  /** Programs of several instructions. */
  readonly sequences: number;
  readonly x87Pointers: boolean;
}
export interface Report {
  readonly cases: number;
  readonly forms: number;
  readonly failures: readonly Failure[];
}

/** For tests: some cases of each form and some programs in one machine. */
export function runLockstep(host: NativeHost, emulated: Emulated, options: Options): Report {
  const judge = newJudge(host, [{ tier: 'interpreter', emulated, passes: 1 }], options.x87Pointers, 1000);
  const forms = formsOf(emulated, options).filter(({ entry }) => onHost([entry]).length > 0);
  const { families, seed, cases, sequences } = options;
  const vocabulary = vocabularyFor(emulated, families);
  runRound(judge, { seed, forms, first: 0, count: cases, families, vocabulary, firstProgram: 0, programs: sequences }, () => true); // prettier-ignore
  judgeWaiting(judge);
  return { cases: judge.cases, forms: forms.length, failures: judge.failures };
}

const PROGRAMS_SHRUNK = 6;
let shrunk = 0;

/** The part of a program that matters: against the interpreter where it is the compiler that is wrong. */
function madeSmaller(host: NativeHost, { tier, repeat }: Failure, tiers: Judge['tiers']): string[] {
  const ours = tiers.find((one) => one.tier === tier);
  const again =
    ours === undefined || shrunk++ >= PROGRAMS_SHRUNK ? undefined : caseNamed(ours.emulated, repeat);
  if (ours === undefined || again === undefined) return [];
  if (tier === 'interpreter')
    return shrink((test) => runNative(host, batchOf([test]), 1)[0], ours.emulated, ours.passes, again.test);
  const [interpreter] = bootTiers(['interpreter'], ours.emulated.machine.config.cpuModel);
  if (interpreter === undefined) return [];
  return shrink((test) => runEmulated(interpreter.emulated, test), ours.emulated, ours.passes, again.test);
}

/** A failure with what repeats it. */
export function describeFailure(host: NativeHost, failure: Failure, tiers: Judge['tiers'] = []): string {
  const { encoding, repeat, tier, code, lines, name } = failure;
  const bytes = [...code].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const small = name === 'program' ? madeSmaller(host, failure, tiers) : [];
  const text = name === 'program' ? '' : disassemble(host, code)[0];
  return [
    `${name} [${encoding}] in the ${tier}: ${name === 'program' ? '' : bytes}   ${text ?? ''}`,
    ...lines.map((line) => `    ${line}`),
    ...(small.length > 0 ? ['    made smaller:', ...small.map((line) => `      ${line}`)] : []),
    `    repeat: npm run lockstep -- --case '${repeat}'`,
  ].join('\n');
}
