// Running the command line in tests: as a user types it, in a process of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const program = join(import.meta.dirname, 'ringside.ts');

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `ringside …`; the caller reads or kills it. */
export function startRingside(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Runs `ringside …` to its end. */
export async function ringside(args: readonly string[], input = ''): Promise<Ran> {
  const child = startRingside(args);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin?.on('error', () => undefined); // it may end before it has read everything
  child.stdin?.end(input);
  const status = await new Promise<number | null>((done) => child.on('close', done));
  return {
    status,
    stdout: Buffer.concat(out).toString('latin1'),
    stderr: Buffer.concat(err).toString('utf8'),
  };
}

/** Runs a command in a new temporary machine. */
export const runInGuest = (
  command: readonly string[],
  options: readonly string[] = [],
  input = '',
): Promise<Ran> => ringside(['run', '--image', 'base', ...options, '--', ...command], input);

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'ringside-test-'));
