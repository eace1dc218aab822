// Runs in Ringside, each in a process of its own (`ringside-run.ts` says why).
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunAnswer, RunSpec } from './spec.ts';

const RUNNER = join(import.meta.dirname, 'ringside-run.ts');

export function runInRingside(spec: Omit<RunSpec, 'folder'>, timeoutMs: number): RunAnswer {
  const folder = mkdtempSync(join(tmpdir(), 'ringside-bench-'));
  try {
    const child = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', RUNNER], {
      input: JSON.stringify({ ...spec, folder } satisfies RunSpec),
      encoding: 'utf8',
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: 2 ** 28,
    });
    if (child.signal === 'SIGKILL') throw new Error(`Ringside did not end within ${timeoutMs / 1000} s`);
    if (child.status !== 0) throw new Error(`Ringside failed:\n${child.stderr.trim()}`);
    return JSON.parse(child.stdout) as RunAnswer; // written by our own child process
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
