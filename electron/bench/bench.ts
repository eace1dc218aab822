// `npm run bench -- …`: the speed of Ringside beside the host's own and QEMU's. Exit status 1 when a program failed or printed
// something else on one of them. README.md says what is measured.
import { writeFileSync } from 'node:fs';
import { UsageError } from '../cli/arguments.ts';
import { busyness, findProgram, hostFacts, stolenShare } from './host.ts';
import { jobsOf } from './jobs.ts';
import { measure } from './measure.ts';
import { parseOptions, usage, type BenchOptions } from './options.ts';
import { profileText } from './profile.ts';
import { measureStartup } from './startup.ts';
import { byProcessorTime, groupMeans, ratiosOf, timingOf, type Contender, type Row } from './statistics.ts';
import { columns, HEADINGS, lineOf, tableOf } from './table.ts';

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const print = (text: string): void => void process.stdout.write(`${text}\n`);

function contendersOf(options: BenchOptions): Contender[] {
  const hasQemu = findProgram('qemu-x86_64') !== undefined;
  if (options.qemu && !hasQemu)
    say(
      'bench: qemu-x86_64 is not here, so there is nothing to compare with. Install it: sudo apt-get install qemu-user',
    );
  return [
    ...(options.native ? ['native' as const] : []),
    ...(options.qemu && hasQemu ? ['qemu' as const] : []),
    'ringside',
  ];
}

const withFigures = (row: Row): unknown => ({
  ...row,
  timings: Object.fromEntries(
    Object.entries(row.samples).map(([contender, samples]) => [contender, timingOf(samples)]),
  ),
  ratios: { loop: ratiosOf(row, 'loop'), whole: ratiosOf(row, 'whole') },
});

async function compare(options: BenchOptions): Promise<number> {
  const contenders = contendersOf(options);
  const jobs = await jobsOf(options);
  if (jobs.length === 0) throw new UsageError(`--only ${options.only.join(',')}: there is no such program.`);
  const shown = (row: Row): Row => (options.clock === 'cpu' ? byProcessorTime(row) : row);
  const before = busyness();
  const host = hostFacts();
  const rows: Row[] = [];
  /** After every program: what was measured stays when the bench is stopped. */
  const save = (): void => {
    if (options.json === undefined) return;
    const load = { before, after: busyness() };
    const means = groupMeans(rows.map(shown));
    const figures = { options, host, load, rows: rows.map(withFigures), means };
    writeFileSync(options.json, `${JSON.stringify(figures, null, 2)}\n`);
  };
  for (const job of jobs) {
    const row = measure(job, contenders, options.runs);
    rows.push(row);
    save();
    say(columns([HEADINGS, lineOf(shown(row))])[1] ?? '');
    for (const problem of row.problems) say(`(!) ${problem}`);
  }
  const after = busyness();
  print(tableOf(rows.map(shown)));
  const stolen = (100 * stolenShare(before, after)).toFixed(1);
  const averages = after.loadAverages.map((average) => average.toFixed(2)).join(' ');
  const clock = options.clock === 'cpu' ? 'processor time, ' : '';
  const compiler = options.compiler === 'off' ? ', compiler off' : '';
  const work = options.quick ? ', a tenth of the work' : '';
  print(
    `\n${host.cpuModel}, ${host.cpuCount} CPUs; load averages ${averages}; taken by other guests of its host: ${stolen} %`,
  );
  print(`${host.node}; ${host.qemu ?? 'no qemu'}; ${clock}medians of ${options.runs}${work}${compiler}`);
  return rows.some(({ problems }) => problems.length > 0) ? 1 : 0;
}

async function profile(options: BenchOptions): Promise<number> {
  if (options.only.length === 0) throw new UsageError('profile needs --only with the programs to look at.');
  for (const job of await jobsOf(options)) {
    const { seconds, cpuSeconds, instructions, compiled, profile: functions, profileMs } = job.profile();
    const millions = (instructions / 1e6).toFixed(1);
    print(
      `${job.name} n=${job.n}: ${seconds.toFixed(3)} s, ${cpuSeconds.toFixed(3)} s of all threads, ${millions} million instructions`,
    );
    print(
      `compiled since power-on: ${compiled.regions} regions, ${compiled.bytes} bytes, ${compiled.milliseconds.toFixed(0)} ms\n`,
    );
    print(`${profileText(functions, profileMs, 15, 12)}\n`);
  }
  return 0;
}

const modes: Readonly<Record<BenchOptions['mode'], (options: BenchOptions) => Promise<number>>> = {
  cpu: compare,
  kernel: compare,
  startup: measureStartup,
  profile,
};

try {
  const words = process.argv.slice(2);
  if (words.includes('--help') || words.length === 0) print(usage());
  else {
    const options = parseOptions(words);
    process.exitCode = await modes[options.mode](options);
  }
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 125;
}
