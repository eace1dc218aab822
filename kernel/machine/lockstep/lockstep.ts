// Runs generated cases of every declared instruction form, and random programs, on the real CPU and in the emulated one, and
// compares the states bit for bit.
//
//   node kernel/machine/lockstep/lockstep.ts [--cases N | --total N | --minutes M] [--seed S | --new-seed] [--families …]
//     [--tier interpreter|compiler|both] [--cpu v2|v3] [--only REGEX] [--programs N] [--workers N] [--case NAME]
//     [--keep] [--show N] [--x87-pointers] [--record]
//
// --cases: cases for each form, and --programs in all; --total, --minutes: rounds of both until there are so many, or that
// long. --only: mnemonics. --case: one case by the name that its failure printed. --keep: failures join seeds.json, which every
// run without --only or --case begins with. --record: writes vectors/FAMILY.json, what Intel's CPU did, for hosts that have none.
// Without a real CPU (x86-64 Linux with gcc) the recorded vectors are compared instead.

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { FAMILIES, caseNamed } from './cases.ts';
import { bootEmulated } from './emulated.ts';
import { bootTiers, describeFailure, judgeWaiting, newJudge, nextCase } from './judge.ts';
import type { Failure } from './judge.ts';
import { buildNative, removeNative } from './native.ts';
import { copyCase } from './records.ts';
import { keepSeeds, keptSeeds } from './seeds.ts';
import type { Tier } from './tiers.ts';
import { isReport } from './worker.ts';
import type { Job } from './worker.ts';
import { recordVectors, replayVectors } from './vectors.ts';
import { hasOtherWays } from './vendor.ts';

const args = {
  cases: { type: 'string' },
  total: { type: 'string' },
  minutes: { type: 'string' },
  seed: { type: 'string', default: '1' },
  'new-seed': { type: 'boolean', default: false },
  families: { type: 'string', default: FAMILIES.join(',') },
  tier: { type: 'string', default: 'both' },
  cpu: { type: 'string', default: 'v3' },
  only: { type: 'string', default: '' },
  programs: { type: 'string' },
  workers: { type: 'string', default: String(availableParallelism()) },
  case: { type: 'string', multiple: true },
  keep: { type: 'boolean', default: false },
  show: { type: 'string', default: '2' },
  record: { type: 'boolean', default: false },
  'x87-pointers': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

function tiersOf(wanted: string): Tier[] | undefined {
  if (wanted === 'both') return ['interpreter', 'compiler'];
  return wanted === 'interpreter' || wanted === 'compiler' ? [wanted] : undefined;
}

/** Without the real CPU: what it once did. */
function replay(families: readonly string[]): number {
  say('No x86-64 Linux host with gcc: comparing with the recorded vectors instead.');
  const wrong = families.flatMap((family) => replayVectors(bootEmulated('v3'), family));
  for (const line of wrong) say(line);
  say(`recorded vectors: ${wrong.length} differ`);
  return wrong.length === 0 ? 0 : 1;
}

/** Cases by name, in this thread. */
function runNamed(job: Job, names: readonly string[], show: number): Failure[] {
  const host = buildNative();
  if (host === undefined) return [];
  const judge = newJudge(host, bootTiers(job.tiers, job.cpu), job.x87Pointers, 100);
  const [first] = judge.tiers;
  for (const name of names) {
    const made = first === undefined ? undefined : caseNamed(first.emulated, name);
    if (made === undefined) {
      say(`no such case any more: ${name}`);
      continue;
    }
    const test = nextCase(judge);
    copyCase(made.test, test);
    judge.waiting.push({ form: made.form, seed: made.seed });
  }
  judgeWaiting(judge);
  for (const failure of judge.failures.slice(0, show)) say(describeFailure(host, failure, judge.tiers));
  say(`${judge.cases} cases by name, ${judge.failures.length} differ`);
  removeNative(host);
  return judge.failures;
}

/** Generated cases, on several threads. Gives the failures' names. */
async function runWorkers(
  job: Job,
  workers: number,
  show: number,
): Promise<{ cases: number; failed: string[] }> {
  const shown = new Map<string, number>();
  const failed: string[] = [];
  let cases = 0;
  let compiled = 0;
  let timeouts = 0;
  let forms = 0;
  const done = Array.from({ length: workers }, async (_unused, worker) => {
    const thread = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { ...job, worker, workers },
    });
    await new Promise<void>((resolve, reject) => {
      thread.on('message', (report: unknown) => {
        if (!isReport(report)) return;
        cases += report.cases;
        compiled += report.compiled;
        timeouts += report.timeouts;
        forms = report.forms;
        for (const failure of report.failures) {
          const before = shown.get(failure.name) ?? 0;
          shown.set(failure.name, before + 1);
          if (before < show) say(failure.text);
          failed.push(failure.repeat);
        }
      });
      thread.on('error', reject);
      thread.on('exit', (code) =>
        code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`)),
      );
    });
  });
  await Promise.all(done);
  say(
    `${forms} forms, ${cases} cases, ${compiled} of them compiled, ${timeouts} that did not end, ${failed.length} differ`,
  );
  if (shown.size > 0) say([...shown].map(([name, number]) => `${name} ${number}`).join(', '));
  return { cases, failed };
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: args });
  const families = values.families.split(',');
  const tiers = tiersOf(values.tier);
  const cpu = values.cpu;
  if (values.help || tiers === undefined || (cpu !== 'v2' && cpu !== 'v3')) {
    say(`options: ${Object.keys(args).map((name) => `--${name}`).join(' ')}`); // prettier-ignore
    return 2;
  }
  const host = buildNative();
  if (host === undefined) return replay(families);
  if (values.record && hasOtherWays()) {
    say("This host's CPU has ways of its own (vendor.ts): record on one of Intel's.");
    removeNative(host);
    return 2;
  }
  if (values.record) {
    for (const family of families) recordVectors(host, bootEmulated('v3'), family);
    removeNative(host);
    return 0;
  }
  removeNative(host);
  const seed = values['new-seed'] ? Math.floor(Date.now() / 1000) % 2 ** 31 : Number(values.seed);
  const counter = new SharedArrayBuffer(4);
  const job: Job = {
    seed, families, tiers, cpu, only: values.only === '' ? '.*' : values.only, x87Pointers: values['x87-pointers'], counter,
    cases: Number(values.cases ?? (values.total === undefined && values.minutes === undefined ? 20 : 0)),
    programs: Number(values.programs ?? 4000),
    total: Number(values.total ?? 0), minutes: Number(values.minutes ?? 0),
  }; // prettier-ignore
  const show = Number(values.show);
  say(`seed ${seed}, cpu ${cpu}, ${tiers.join(' and ')}, ${families.join(' ')}`);
  if (values.case !== undefined) return runNamed(job, values.case, show).length === 0 ? 0 : 1;
  const startMs = Date.now();
  const kept = values.only === '' ? runNamed(job, keptSeeds(), show).map(({ repeat }) => repeat) : [];
  const { cases, failed } = await runWorkers(job, Number(values.workers), show);
  const seconds = (Date.now() - startMs) / 1000;
  say(`${seconds.toFixed(1)} s, ${Math.round(cases / seconds)} cases a second`);
  if (failed.length > 0 && !values.keep) say('with --keep these join seeds.json');
  if (values.keep) keepSeeds(failed);
  return failed.length + kept.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
