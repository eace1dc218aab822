// `ringside open`: the machine's first console in this terminal, at the pace of the host's clock. Ctrl+] leaves and saves.
import { openMachineFile } from '../../../images/index.ts';
import { recentOutput } from '../../../kernel/index.ts';
import {
  closeMachine,
  feedMachine,
  openMachine,
  startMachine,
  type OpenMachine,
} from '../../worker/machine.ts';
import { hasOption, UsageError } from '../arguments.ts';
import { compilerOf, compilerOption } from '../compiler-option.ts';
import { EXIT_FAILED, say, type Command } from '../command.ts';

const CONSOLE = 'tty1';
const LEAVE = 0x1d; // Ctrl+]

export const open: Command = {
  usage: 'FILE',
  about: 'opens a machine on this terminal; Ctrl+] saves it and leaves',
  options: { ...compilerOption, boot: { value: '', about: 'boot it even when it has a saved state' } },
  async run(args) {
    const [path, ...more] = args.words;
    if (path === undefined || more.length > 0) throw new UsageError('Write: ringside open FILE.');
    const compiler = compilerOf(args);
    const file = openMachineFile(path);
    let machine: OpenMachine;
    try {
      machine = openMachine(file, { pace: 'live', boot: hasOption(args, 'boot'), compiler });
    } catch (error) {
      file.close();
      throw error;
    }
    process.stdout.write(recentOutput(machine.engine.kernel, CONSOLE));
    const problem = await attend(machine);
    closeMachine(machine, problem === null && machine.stopped === null);
    if (problem === null) return 0;
    say(problem.message);
    return EXIT_FAILED;
  },
};

/** Connects the console until the user leaves, input ends or the machine stops. */
async function attend(machine: OpenMachine): Promise<Error | null> {
  return new Promise((done) => {
    const finish = (problem: Error | null): void => {
      if (process.stdin.isTTY) process.stdin.setRawMode(false);
      process.stdin.removeAllListeners('data').pause();
      process.stdout.removeAllListeners('resize');
      done(problem);
    };
    machine.listeners.add({
      terminalOutput: (terminal, bytes) => terminal === CONSOLE && process.stdout.write(bytes),
      stopped: finish,
    });
    const resize = (): void =>
      feedMachine(machine, {
        kind: 'resize',
        terminal: CONSOLE,
        columns: process.stdout.columns ?? 80,
        rows: process.stdout.rows ?? 24,
      });
    if (process.stdin.isTTY) process.stdin.setRawMode(true);
    process.stdin.on('data', (chunk: Buffer) => {
      const end = process.stdin.isTTY ? chunk.indexOf(LEAVE) : -1;
      const bytes = new Uint8Array(end < 0 ? chunk : chunk.subarray(0, end));
      if (bytes.length > 0) feedMachine(machine, { kind: 'terminal', terminal: CONSOLE, bytes });
      if (end >= 0) finish(null);
    });
    process.stdin.once('end', () => finish(null));
    process.once('SIGTERM', () => finish(null));
    if (!process.stdin.isTTY) process.once('SIGINT', () => finish(null));
    process.stdout.on('resize', resize);
    startMachine(machine);
    if (process.stdout.isTTY) resize();
  });
}
