// Two figures of Ringside alone: how long a cold `tcc hello.c` takes in a machine that has just booted, and how fast the
// interpreter is without the compiler.
import { writeFileSync } from 'node:fs';
import { buildProgram } from './build.ts';
import { busyness, hostFacts } from './host.ts';
import type { BenchOptions } from './options.ts';
import { runInRingside } from './ringside.ts';
import type { RunAnswer } from './spec.ts';
import { median, processorTimes, timingOf, type Sample } from './statistics.ts';

function checked(answer: RunAnswer): RunAnswer {
  if (answer.exitCode === 0) return answer;
  throw new Error(`A program ended with status ${answer.exitCode}: ${answer.stderr.trim()}`);
}

const INTERPRETED_TURNS = 1_000_000;

export function measureStartup(options: BenchOptions): Promise<number> {
  const common = {
    image: 'base', cpus: options.cpus, memoryBytes: options.memoryBytes, profile: false, warm: [], directory: '/root', outputs: [],
  }; // prettier-ignore
  const interp = buildProgram('a_interp', ['-O2', '-static']);
  const files = [{ host: interp, guest: '/bench/a_interp' }];
  const compile = (): RunAnswer =>
    runInRingside(
      {
        ...common,
        compiler: options.compiler,
        files: [],
        argv: ['tcc', '-o', '/tmp/hello', 'examples/hello.c'],
      },
      options.timeoutMs,
    );
  const interpret = (n: number): RunAnswer =>
    runInRingside(
      { ...common, compiler: 'off', files, argv: ['/bench/a_interp', String(n)] },
      options.timeoutMs,
    );
  const turns = options.quick ? INTERPRETED_TURNS / 10 : INTERPRETED_TURNS;
  const compiled: Sample[] = [];
  const bootSeconds: number[] = [];
  const interpreted = { whole: [] as Sample[], empty: [] as Sample[] };
  for (let run = 0; run < options.runs; run++) {
    const answer = checked(compile());
    compiled.push(answer);
    bootSeconds.push(answer.bootSeconds);
    interpreted.whole.push(checked(interpret(turns)));
    interpreted.empty.push(checked(interpret(0)));
  }
  const shown = options.clock === 'cpu' ? processorTimes : (samples: readonly Sample[]) => samples;
  const host = hostFacts();
  const figures = {
    bootMs: 1000 * median(bootSeconds),
    tccHelloMs: 1000 * median(compiled.map(({ seconds }) => seconds)),
    tccHelloProcessorMs: 1000 * median(compiled.map(({ cpuSeconds }) => cpuSeconds)),
    interpreterMips: timingOf({ whole: shown(interpreted.whole), empty: shown(interpreted.empty) }).mips,
  };
  process.stdout.write(
    [
      `power-on until the start scripts are over, machine file made: ${figures.bootMs.toFixed(0)} ms`,
      `tcc on hello.c, cold: ${figures.tccHelloMs.toFixed(0)} ms of host time, ${figures.tccHelloProcessorMs.toFixed(0)} ms of processor time`,
      `a_interp with the compiler off: ${figures.interpreterMips.toFixed(0)} million instructions a second`,
      `${host.cpuModel}; medians of ${options.runs}`,
      '',
    ].join('\n'),
  );
  if (options.json !== undefined) {
    const all = { options, host, load: busyness(), figures, compiled, bootSeconds, interpreted };
    writeFileSync(options.json, `${JSON.stringify(all, null, 2)}\n`);
  }
  return Promise.resolve(0);
}
