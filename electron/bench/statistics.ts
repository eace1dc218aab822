// Arithmetic of the benchmark: medians of repeated runs, ratios between contenders, geometric means of groups.

import type { CompilerFigures } from './spec.ts';

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** NaN where a value is missing or not positive: there is no honest mean then. */
export function geometricMean(values: readonly number[]): number {
  if (values.length === 0) return NaN;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value > 0 ? value : NaN), 0) / values.length);
}

export const CONTENDERS = ['native', 'qemu', 'ringside'] as const;
export type Contender = (typeof CONTENDERS)[number];

/** One run on one contender. */
export interface Sample {
  /** From the program's start to its end. */
  readonly seconds: number;
  /** Processor time of all threads of the host that took part. */
  readonly cpuSeconds: number;
  /** Instructions of the guest, kernel excluded; Ringside only. */
  readonly instructions?: number;
  readonly compiled?: CompilerFigures;
}

/** All runs of a program on one contender: with its n, and with n = 0 where that was run. */
export interface Samples {
  readonly whole: readonly Sample[];
  readonly empty: readonly Sample[];
}

export interface Timing {
  /** Median, start-up included. */
  readonly wholeSeconds: number;
  /** Median less that of the same program with n = 0; NaN where that was not run. */
  readonly loopSeconds: number;
  /** Million guest instructions a second in the loop (or the whole run); Ringside only. */
  readonly mips: number;
}

export function timingOf({ whole, empty }: Samples): Timing {
  const wholeSeconds = median(whole.map(({ seconds }) => seconds));
  const emptySeconds = median(empty.map(({ seconds }) => seconds)); // NaN when there are none
  const loopSeconds = wholeSeconds - emptySeconds;
  const instructions = whole[0]?.instructions ?? NaN;
  const emptyInstructions = empty.length === 0 ? 0 : (empty[0]?.instructions ?? NaN);
  const seconds = empty.length === 0 ? wholeSeconds : loopSeconds;
  return { wholeSeconds, loopSeconds, mips: (instructions - emptyInstructions) / seconds / 1e6 };
}

/** A measured program. */
export interface Row {
  readonly program: string;
  readonly group: string;
  readonly n: number;
  readonly samples: Partial<Record<Contender, Samples>>;
  /** What it printed, the same on all contenders; '' when they differ or one failed. */
  readonly checksum: string;
  readonly problems: readonly string[];
}

export const processorTimes = (samples: readonly Sample[]): Sample[] =>
  samples.map((sample) => ({ ...sample, seconds: sample.cpuSeconds }));

/** The row with processor time in place of time passed. */
export function byProcessorTime(row: Row): Row {
  const entries = Object.entries(row.samples).map(([contender, { whole, empty }]) => [
    contender,
    { whole: processorTimes(whole), empty: processorTimes(empty) },
  ]);
  return { ...row, samples: Object.fromEntries(entries) as Row['samples'] };
}

export interface Ratios {
  readonly qemuToNative: number;
  readonly ringsideToNative: number;
  /** Above 1: Ringside is faster. */
  readonly qemuToRingside: number;
}

/** Ratios of times: of the loop where that is known, or of the whole run. */
export function ratiosOf(row: Row, part: 'loop' | 'whole'): Ratios {
  const seconds = (contender: Contender): number => {
    const samples = row.samples[contender];
    if (samples === undefined) return NaN;
    const timing = timingOf(samples);
    const time = part === 'loop' && samples.empty.length > 0 ? timing.loopSeconds : timing.wholeSeconds;
    return time > 0 ? time : NaN;
  };
  const [native, qemu, ringside] = [seconds('native'), seconds('qemu'), seconds('ringside')];
  return {
    qemuToNative: qemu / native,
    ringsideToNative: ringside / native,
    qemuToRingside: qemu / ringside,
  };
}

export interface GroupMeans {
  readonly group: string;
  /** How many of the group's programs have a ratio to native; a program without one is left out. */
  readonly programs: number;
  readonly loop: Ratios;
  readonly whole: Ratios;
  /** The lowest speed relative to QEMU in the group. */
  readonly slowest: number;
}

/** Geometric means of each group, over the rows without a problem. */
export function groupMeans(rows: readonly Row[]): GroupMeans[] {
  const sound = rows.filter(({ problems }) => problems.length === 0);
  return [...new Set(sound.map(({ group }) => group))].map((group) => {
    const members = sound.filter((row) => row.group === group);
    const mean = (part: 'loop' | 'whole', ratio: keyof Ratios): number =>
      geometricMean(members.map((row) => ratiosOf(row, part)[ratio]).filter((value) => !Number.isNaN(value)));
    const means = (part: 'loop' | 'whole'): Ratios => ({
      qemuToNative: mean(part, 'qemuToNative'),
      ringsideToNative: mean(part, 'ringsideToNative'),
      qemuToRingside: mean(part, 'qemuToRingside'),
    });
    const speeds = members
      .map((row) => ratiosOf(row, 'loop').qemuToRingside)
      .filter((value) => !Number.isNaN(value));
    const slowest = speeds.length === 0 ? NaN : Math.min(...speeds);
    const programs = members.filter((row) => !Number.isNaN(ratiosOf(row, 'loop').ringsideToNative)).length;
    return { group, programs, loop: means('loop'), whole: means('whole'), slowest };
  });
}
