// Runs on the host, natively or under qemu-user, timed by a launcher that is small enough to fork at once.
import { spawnSync } from 'node:child_process';
import { buildProgram } from './build.ts';

export interface NativeRun {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The same few variables for everyone: what a program finds in its environment moves its stack. */
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LC_ALL: 'C' };

export function runOnHost(argv: readonly string[], folder: string, timeoutMs: number): NativeRun {
  const launcher = buildProgram('launch', ['-O2', '-static']);
  const child = spawnSync(launcher, argv, {
    cwd: folder,
    env: ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    encoding: 'latin1',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: 2 ** 28,
  });
  if (child.signal === 'SIGKILL')
    throw new Error(`${argv[0] ?? ''} did not end within ${timeoutMs / 1000} s`);
  if (child.status !== 0) throw new Error(`${argv[0] ?? ''} cannot be started: ${child.stderr.trim()}`);
  const [wallNs = NaN, cpuNs = NaN, status = NaN] = (child.output[3] ?? '').trim().split(' ').map(Number);
  const exitCode = (status & 0x7f) === 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f);
  return {
    seconds: wallNs / 1e9,
    cpuSeconds: cpuNs / 1e9,
    exitCode,
    stdout: child.stdout,
    stderr: child.stderr,
  };
}
