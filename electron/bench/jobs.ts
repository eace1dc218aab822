// A job: a program with what each contender must do to run it once, the C programs' and the whole programs' alike.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildProgram } from './build.ts';
import { guestRoot } from './guest-root.ts';
import { findProgram } from './host.ts';
import { runOnHost } from './native.ts';
import { isWanted, type BenchOptions } from './options.ts';
import { cProgramsOfCpu, cProgramsOfKernel, wholePrograms, WORK, type CProgram, type Group, type WholeProgram } from './programs.ts'; // prettier-ignore
import { runInRingside } from './ringside.ts';
import type { RunAnswer } from './spec.ts';
import type { Contender, Sample } from './statistics.ts';

export interface Outcome {
  readonly sample: Sample;
  /** What it printed and made, to compare. */
  readonly checksum: string;
}

export interface Job {
  readonly name: string;
  readonly group: Group;
  readonly n: number;
  /** Whether a run with n = 0 shows what start-up takes. */
  readonly hasEmptyRun: boolean;
  readonly run: (contender: Contender, n: number) => Outcome;
  readonly profile: () => RunAnswer;
}

const QEMU = 'qemu-x86_64';

function checkExit(contender: Contender, { exitCode, stderr }: { exitCode: number; stderr: string }): void {
  if (exitCode !== 0) throw new Error(`on ${contender} it ended with status ${exitCode}: ${stderr.trim()}`);
}

function cJob({ name, group, n, flags }: CProgram, options: BenchOptions): Job {
  const path = buildProgram(name, flags);
  const guest = `/bench/${name}`;
  const inRingside = (count: number, profile: boolean): RunAnswer =>
    runInRingside(
      {
        image: 'base', cpus: options.cpus, memoryBytes: options.memoryBytes, compiler: options.compiler, profile,
        files: [{ host: path, guest }], warm: [], argv: [guest, String(count)], directory: '/', outputs: [],
      },
      options.timeoutMs,
    ); // prettier-ignore
  const smaller = options.quick ? Math.ceil(n / 10) : n;
  return {
    name,
    group,
    n: smaller,
    hasEmptyRun: true,
    profile: () => inRingside(smaller, true),
    run(contender, count) {
      const argv = [...(contender === 'qemu' ? [findProgram(QEMU) ?? QEMU] : []), path, String(count)];
      const ended =
        contender === 'ringside' ? inRingside(count, false) : runOnHost(argv, '/', options.timeoutMs);
      checkExit(contender, ended);
      return { sample: sampleOf(ended), checksum: ended.stdout.trim() };
    },
  };
}

function sampleOf(run: Sample): Sample {
  const { seconds, cpuSeconds, instructions, compiled } = run;
  if (instructions === undefined || compiled === undefined) return { seconds, cpuSeconds };
  return { seconds, cpuSeconds, instructions, compiled };
}

const LOADER = 'lib64/ld-linux-x86-64.so.2';
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';

function wholeJob(whole: WholeProgram, root: string, options: BenchOptions): Job {
  const n = options.quick ? whole.quickN : whole.n;
  const args = whole.args(n);
  const inputs = Object.entries(whole.inputs(n)).map(([name, make]) => {
    const host = join(root, WORK, name);
    mkdirSync(join(root, WORK), { recursive: true });
    if (!existsSync(host)) writeFileSync(host, make());
    return { host, guest: `/${WORK}/${name}` };
  });
  const outputs = whole.outputs(n);
  const checksum = (stdout: string, hashes: readonly string[]): string =>
    createHash('sha256')
      .update(JSON.stringify([stdout, hashes]))
      .digest('hex')
      .slice(0, 16);
  const inRingside = (profile: boolean): RunAnswer =>
    runInRingside(
      {
        image: 'bench', cpus: options.cpus, memoryBytes: options.memoryBytes, compiler: options.compiler, profile,
        files: inputs, warm: [`/${whole.program}`, ...(whole.isStatic ? [] : WARM_LIBRARIES)],
        argv: [`/${whole.program}`, ...args], directory: '/', outputs: outputs.map((path) => `/${path}`),
      },
      options.timeoutMs,
    ); // prettier-ignore
  return {
    name: whole.name,
    group: 'whole programs',
    n,
    hasEmptyRun: false,
    profile: () => inRingside(true),
    run(contender) {
      if (contender === 'ringside') {
        const ended = inRingside(false);
        checkExit(contender, ended);
        return { sample: sampleOf(ended), checksum: checksum(ended.stdout, ended.hashes) };
      }
      for (const path of outputs) rmSync(join(root, path), { force: true });
      const program = join(root, whole.program);
      const native = whole.isStatic
        ? [program]
        : [join(root, LOADER), '--library-path', join(root, LIBRARIES), program];
      const prefix = contender === 'qemu' ? [findProgram(QEMU) ?? QEMU, '-L', root, program] : native;
      const ended = runOnHost([...prefix, ...args], root, options.timeoutMs);
      checkExit(contender, ended);
      const hashes = outputs.map((path) =>
        createHash('sha256')
          .update(readFileSync(join(root, path)))
          .digest('hex'),
      );
      return { sample: sampleOf(ended), checksum: checksum(ended.stdout, hashes) };
    },
  };
}

/** What the whole programs are linked with. */
const WARM_LIBRARIES = [
  'ld-linux-x86-64.so.2', 'libc.so.6', 'libdl.so.2', 'libgmp.so.10', 'libisl.so.23', 'libm.so.6', 'libmpc.so.3', 'libmpfr.so.6',
  'libreadline.so.8', 'libsqlite3.so.0', 'libtinfo.so.6', 'libz.so.1', 'libzstd.so.1',
].map((name) => `/${LIBRARIES}/${name}`); // prettier-ignore

/** The jobs of a mode that --only asks for. */
export async function jobsOf(options: BenchOptions): Promise<Job[]> {
  const programs = options.mode === 'kernel' ? cProgramsOfKernel : options.mode === 'cpu' ? cProgramsOfCpu : [...cProgramsOfCpu, ...cProgramsOfKernel]; // prettier-ignore
  const jobs = programs
    .filter(({ name }) => isWanted(name, options.only))
    .map((program) => cJob(program, options));
  const wholes =
    options.mode === 'kernel' ? [] : wholePrograms.filter(({ name }) => isWanted(name, options.only));
  if (wholes.length === 0) return jobs;
  const root = await guestRoot();
  return [...jobs, ...wholes.map((whole) => wholeJob(whole, root, options))];
}
