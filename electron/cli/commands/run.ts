// `ringside run`: a command in the guest with its stdin, stdout and stderr connected; exits with its status.
import { readFileSync, writeFileSync } from 'node:fs';
import { hasOption, optionOf, parseNumber, parsePair, UsageError, type Arguments } from '../arguments.ts';
import { EXIT_FAILED, EXIT_TIMEOUT, say, type Command } from '../command.ts';
import { compilerOf, compilerOption } from '../compiler-option.ts';
import { connectInput, readInputAhead } from '../stdio.ts';
import { machineFor, machineOptions } from '../settings.ts';
import { readGuestFile, toGuest, writeGuestFile } from '../../worker/guest-files.ts';
import {
  closeMachine,
  openMachine,
  startCommand,
  startMachine,
  untilBooted,
  type OpenMachine,
} from '../../worker/machine.ts';
import { exitCodeOf } from '../../worker/terminals.ts';
import { figuresOf, statsOf } from '../stats.ts';

export const runOptions = {
  ...machineOptions,
  ...compilerOption,
  user: { value: 'NAME', about: 'whose rights it has (default: root)' },
  put: { value: 'HOST:GUEST', about: 'copy a file in first; may be repeated', many: true },
  get: { value: 'GUEST:HOST', about: 'copy a file out afterwards; may be repeated', many: true },
  timeout: { value: 'S', about: 'end it after this many seconds, with status 124' },
  stats: {
    value: 'FILE',
    about: 'write figures of the run as JSON: times, instructions a second, what was compiled, …',
  },
  tty: { value: '', about: 'run it on a terminal' },
  boot: { value: '', about: 'boot the machine even when it has a saved state' },
} as const;

export const run: Command = {
  usage: '[FILE | --image NAME] [options] -- CMD [ARG...]',
  about: 'runs a command in the guest and exits with its status (128+n: killed by signal n)',
  options: runOptions,
  async run(args) {
    const { status } = await runInMachine(args, {});
    return status;
  },
};

export interface RunHooks {
  /** The machine is up; the command is about to start. */
  before?(machine: OpenMachine): void;
  /** The command has ended; the machine is about to close. */
  after?(machine: OpenMachine): void;
}

/** Runs the command of a command line; shared with `record`. */
export async function runInMachine(args: Arguments, hooks: RunHooks): Promise<{ status: number }> {
  const argv = args.rest ?? [];
  if (argv.length === 0) throw new UsageError('The command is missing: write -- and then the command.');
  const puts = (args.options.get('put') ?? []).map((pair) => parsePair(pair, 'put'));
  const gets = (args.options.get('get') ?? []).map((pair) => parsePair(pair, 'get'));
  const timeout = optionOf(args, 'timeout');
  const timeoutMs = timeout === undefined ? 0 : parseNumber(timeout, 'timeout', 1, 1_000_000) * 1000;
  const statsPath = optionOf(args, 'stats');
  const compiler = compilerOf(args);
  const contents = puts.map(([host, guest]) => ({ guest, bytes: new Uint8Array(readFileSync(host)) }));
  const input = hasOption(args, 'tty') ? null : await readInputAhead();
  const startMs = performance.now();
  const { file, isTemporary, discard } = await machineFor(args);
  try {
    const machine = openMachine(file, {
      pace: 'fast',
      hashTrace: statsPath !== undefined,
      boot: hasOption(args, 'boot'),
      compiler,
      ...(isTemporary ? { wallBaseNs: WALL_BASE_NS } : {}),
    });
    try {
      startMachine(machine);
      const user = optionOf(args, 'user') ?? 'root';
      await untilBooted(machine);
      const bootHostMs = performance.now() - startMs;
      for (const { guest, bytes } of contents) await writeGuestFile(machine, guest, bytes, 0o755, user);
      hooks.before?.(machine);
      const before = statsOf(machine);
      const commandMs = performance.now();
      const size = { columns: process.stdout.columns ?? 80, rows: process.stdout.rows ?? 24 };
      const command = startCommand(machine, {
        argv: argv.map(toGuest),
        user,
        output: (stream, bytes) => void (stream === 'stderr' ? process.stderr : process.stdout).write(bytes),
        ...(hasOption(args, 'tty') ? { terminal: size } : {}),
      });
      const disconnect = connectInput(machine, command, input, hasOption(args, 'tty'));
      const status = await withTimeout(command.exited, timeoutMs);
      const hostMs = performance.now() - commandMs;
      disconnect();
      hooks.after?.(machine);
      if (statsPath !== undefined) {
        const figures = figuresOf(before, statsOf(machine), { compiler, hostMs, bootHostMs });
        writeFileSync(statsPath, `${JSON.stringify(figures, null, 2)}\n`);
      }
      for (const [guest, host] of gets) writeFileSync(host, await readGuestFile(machine, guest));
      return { status: status === null ? EXIT_TIMEOUT : exitCodeOf(status) };
    } finally {
      closeMachine(machine, !isTemporary);
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    say(error instanceof Error ? error.message : String(error));
    return { status: EXIT_FAILED };
  } finally {
    discard();
  }
}

/** A temporary machine's wall clock starts here, so that the same run twice is the same run: 2026-01-01 00:00 UTC. */
const WALL_BASE_NS = Date.UTC(2026, 0, 1) * 1e6;

async function withTimeout(exited: Promise<number>, ms: number): Promise<number | null> {
  if (ms === 0) return exited;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((done) => (timer = setTimeout(() => done(null), ms)));
  try {
    return await Promise.race([exited, late]);
  } finally {
    clearTimeout(timer);
  }
}
