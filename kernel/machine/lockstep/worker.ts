// One thread of a lockstep run: its share of the rounds, with machines and a native half of its own.

import { parentPort, workerData } from 'node:worker_threads';
import type { CpuModel } from '../machine.ts';
import { formsOf, onHost, vocabularyFor } from './cases.ts';
import { bootTiers, describeFailure, judgeWaiting, newJudge, runRound } from './judge.ts';
import { buildNative, removeNative } from './native.ts';
import type { Tier } from './tiers.ts';

/** What is to be run; `cases` or `total` or `minutes` is not 0. */
export interface Job {
  readonly seed: number;
  readonly families: readonly string[];
  readonly tiers: readonly Tier[];
  readonly cpu: CpuModel;
  readonly only: string;
  readonly x87Pointers: boolean;
  readonly cases: number;
  readonly programs: number;
  readonly total: number;
  readonly minutes: number;
  /** Cases of all threads, so that they stop together. */
  readonly counter: SharedArrayBuffer;
}
export interface WorkerReport {
  readonly cases: number;
  readonly compiled: number;
  readonly timeouts: number;
  readonly forms: number;
  readonly failures: readonly { readonly name: string; readonly repeat: string; readonly text: string }[];
}
export const isReport = (value: unknown): value is WorkerReport =>
  typeof value === 'object' && value !== null && 'failures' in value;

/** Of each form in one round of an open-ended run, and programs as many as half of those. */
const CASES_A_ROUND = 4;
const FAILURES_TOLD = 200;

export function work(job: Job & { readonly worker: number; readonly workers: number }): void {
  const host = buildNative();
  if (host === undefined || parentPort === null) return;
  const judge = newJudge(host, bootTiers(job.tiers, job.cpu), job.x87Pointers);
  const [first] = judge.tiers;
  if (first === undefined) return;
  const { families, seed, worker, workers } = job;
  const only = new RegExp(`^(${job.only})$`);
  const forms = formsOf(first.emulated, { families, only }).filter(({ entry }) => onHost([entry]).length > 0);
  const vocabulary = vocabularyFor(first.emulated, families);
  const counter = new Int32Array(job.counter);
  const endMs = Date.now() + job.minutes * 60_000;
  let told = 0;
  let counted = 0;
  const goesOn = (): boolean => {
    if (judge.cases > counted) {
      Atomics.add(counter, 0, judge.cases - counted);
      counted = judge.cases;
    }
    if (job.total > 0) return Atomics.load(counter, 0) < job.total;
    return job.minutes === 0 || Date.now() < endMs;
  };
  const tell = (): void => {
    const failures = judge.failures.slice(0, Math.max(0, FAILURES_TOLD - told));
    told += failures.length;
    const texts = failures.map((one) => ({
      name: one.name,
      repeat: one.repeat,
      text: describeFailure(host, one, judge.tiers),
    }));
    parentPort?.postMessage({
      cases: judge.cases,
      compiled: judge.compiled,
      timeouts: judge.timeouts,
      forms: forms.length,
      failures: texts,
    });
    counted -= judge.cases;
    [judge.cases, judge.compiled, judge.timeouts, judge.failures] = [0, 0, 0, []];
  };
  if (job.cases > 0) {
    const share = (all: number): [number, number] => {
      const from = Math.floor((all * worker) / workers);
      return [from, Math.floor((all * (worker + 1)) / workers) - from];
    };
    const [firstCase, count] = share(job.cases);
    const [firstProgram, programs] = share(job.programs);
    runRound(
      judge,
      { seed, forms, first: firstCase, count, families, vocabulary, firstProgram, programs },
      () => true,
    );
  } else {
    const programs = job.only === '.*' ? forms.length * 2 : 0;
    for (let round = worker; goesOn(); round += workers) {
      runRound(judge, {
        seed, forms, first: round * CASES_A_ROUND, count: CASES_A_ROUND, families, vocabulary,
        firstProgram: round * programs, programs,
      }, goesOn); // prettier-ignore
      tell();
    }
  }
  judgeWaiting(judge);
  goesOn();
  tell();
  removeNative(host);
}

const isWork = (value: unknown): value is Parameters<typeof work>[0] =>
  typeof value === 'object' && value !== null && 'counter' in value && 'workers' in value;
const given: unknown = workerData;
if (parentPort !== null && isWork(given)) work(given);
