// One run in Ringside, in a process of its own: boots a fresh machine, puts files in, times one command, answers as JSON.
//
// A process for every run because V8 keeps compiled wasm by its bytes for as long as the process lives: a second run in the
// same one would find the first one's code. So each run pays for its own warm-up, as a user's first run does.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { buildImage, createMachineFile } from '../../images/index.ts';
import { compilerStatistics } from '../../kernel/index.ts';
import { statsOf } from '../cli/stats.ts';
import { readGuestFile, toGuest, writeGuestFile } from '../worker/guest-files.ts';
import { closeMachine, openMachine, startCommand, startMachine, untilBooted, type OpenMachine } from '../worker/machine.ts'; // prettier-ignore
import { exitCodeOf } from '../worker/terminals.ts';
import { profiled } from './profile.ts';
import type { RunAnswer, RunSpec } from './spec.ts';

/** The wall clock of the guest at power-on, so that every run is the same run: 2026-01-01 00:00 UTC. */
const WALL_BASE_NS = Date.UTC(2026, 0, 1) * 1e6;

async function freshMachine(spec: RunSpec): Promise<OpenMachine> {
  const image = await buildImage(spec.image);
  const file = createMachineFile(join(spec.folder, 'bench.ringside'), {
    image: image.path,
    config: {
      name: 'bench', image: spec.image, cpus: spec.cpus, memoryBytes: spec.memoryBytes, swapBytes: 0, seed: 1, disk: 'nvme',
      imageManifestHash: image.manifestHash, createdAt: new Date().toISOString(),
    },
  }); // prettier-ignore
  return openMachine(file, { pace: 'fast', wallBaseNs: WALL_BASE_NS, compiler: spec.compiler });
}

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function execute(machine: OpenMachine, argv: readonly string[], directory: string): Promise<Ended> {
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const command = startCommand(machine, {
    argv: argv.map(toGuest),
    user: 'root',
    directory,
    output: (stream, bytes) => void parts[stream].push(bytes),
  });
  command.endInput();
  const exitCode = exitCodeOf(await command.exited);
  const [stdout, stderr] = [parts.stdout, parts.stderr].map((part) => Buffer.concat(part).toString('latin1'));
  return { exitCode, stdout: stdout ?? '', stderr: stderr ?? '' };
}

/** What must not be part of the measured time: files in, their blocks written, what the program reads in the page cache. */
async function prepare(machine: OpenMachine, spec: RunSpec): Promise<void> {
  await execute(machine, ['mkdir', '-p', '/bench'], '/');
  for (const { host, guest } of spec.files)
    await writeGuestFile(machine, guest, new Uint8Array(readFileSync(host)), 0o755, 'root');
  if (spec.warm.length > 0)
    await execute(machine, ['sh', '-c', 'cat "$@" > /dev/null', 'sh', ...spec.warm], '/');
  await execute(machine, ['sync'], '/');
}

async function run(spec: RunSpec): Promise<RunAnswer> {
  const bootMs = performance.now();
  const machine = await freshMachine(spec);
  try {
    startMachine(machine);
    await untilBooted(machine);
    const bootSeconds = (performance.now() - bootMs) / 1000;
    await prepare(machine, spec);
    const before = statsOf(machine);
    let seconds = NaN;
    let cpuSeconds = NaN;
    const measured = async (): Promise<Ended> => {
      const cpu = process.cpuUsage();
      const startMs = performance.now();
      const ended = await execute(machine, spec.argv, spec.directory);
      seconds = (performance.now() - startMs) / 1000;
      const used = process.cpuUsage(cpu);
      cpuSeconds = (used.user + used.system) / 1e6;
      return ended;
    };
    const { result, functions, totalMs } = spec.profile
      ? await profiled(measured)
      : { result: await measured(), functions: [], totalMs: 0 };
    const after = statsOf(machine);
    const hashes: string[] = [];
    for (const path of result.exitCode === 0 ? spec.outputs : [])
      hashes.push(
        createHash('sha256')
          .update(await readGuestFile(machine, path))
          .digest('hex'),
      );
    return {
      ...result, seconds, cpuSeconds, bootSeconds, hashes, profile: functions, profileMs: totalMs,
      compiled: { ...compilerStatistics(machine.engine.kernel.machine) },
      virtualSeconds: (after.virtualNs - before.virtualNs) / 1e9,
      instructions: after.instructions - before.instructions,
    }; // prettier-ignore
  } finally {
    closeMachine(machine, false);
  }
}

const spec = JSON.parse(await text(process.stdin)) as RunSpec; // written by our own parent process
process.stdout.write(JSON.stringify(await run(spec)));
