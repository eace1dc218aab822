/** The host as the oracle: each program, compiled and run here, prints what we expect of it in the guest. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { guestPrograms, largeProgram } from './index.ts';

const isOracle =
  process.platform === 'linux' && process.arch === 'x64' && spawnSync('cc', ['--version']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'ringside-programs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function compile(source: string, name: string): string {
  const program = join(folder, name);
  const options = ['-Wall', '-Wextra', '-Wno-unused-result', '-Werror', '-O1'];
  const run = spawnSync('cc', [...options, '-o', program, source], { encoding: 'utf8' });
  expect(run.stderr).toBe('');
  return program;
}

describe.skipIf(!isOracle)('on a Linux host', () => {
  it.each(guestPrograms().map((program) => [program.name, program] as const))(
    '%s',
    (name, { path, args, expected }) => {
      const program = compile(path, name);
      if (expected === undefined) return; // it depends on the machine, or is not for a host that matters
      rmSync('/tmp/fsync-writer.test', { force: true });
      const run = spawnSync(program, args, { encoding: 'utf8' });
      rmSync('/tmp/fsync-writer.test', { force: true });
      expect(run.stdout).toBe(expected);
      expect(run.status).toBe(0);
    },
  );

  it('a generated program of 2,000 lines', () => {
    const { source, expected } = largeProgram(2000);
    expect(source.split('\n').length).toBeGreaterThan(1900);
    const path = join(folder, 'large.c');
    writeFileSync(path, source);
    expect(spawnSync(compile(path, 'large'), { encoding: 'utf8' }).stdout).toBe(expected);
  });
});

it('another seed makes another program', () => {
  expect(largeProgram(100, 1)).toEqual(largeProgram(100, 1));
  expect(largeProgram(100, 1)).not.toEqual(largeProgram(100, 2));
});
