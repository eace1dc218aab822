/** Runs a host command for the recipes and gives what it printed. */
import { spawn } from 'node:child_process';

export interface Outcome {
  /** -1 when the command is not there. */
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

export function runHost(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly signal?: AbortSignal | undefined },
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve({ status: -1, output, errors });
      else reject(error);
    });
    child.on('close', (status) => resolve({ status: status ?? 1, output, errors }));
  });
}
