// Hostile guests and sudden ends: random system calls, random bytes as code, broken programs, a host that kills the lab.
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { newRandom, randomBelow } from '../../kernel/lib/random.ts';
import { ringside, runInGuest, startRingside, temporaryFolder } from './test-run.ts';

const programs = join(import.meta.dirname, '../../images/programs');

function compiled(name: string): string {
  const binary = join(temporaryFolder(), name);
  execFileSync('gcc', ['-O1', '-static', '-w', '-o', binary, join(programs, `${name}.c`)]);
  return binary;
}

describe('hostile programs', () => {
  it.each([1, 2])('makes 10,000 random system calls as an ordinary user, seed %i', async (seed) => {
    const binary = compiled('random-syscalls');
    const script = `/tmp/p 10000 ${seed} > /tmp/out 2>&1; tail -1 /tmp/out; echo still here`;
    const ran = await runInGuest(['sh', '-c', script], ['--put', `${binary}:/tmp/p`, '--timeout', '240']);
    expect(ran.stderr).toBe('');
    expect(ran).toMatchObject({ status: 0, stdout: expect.stringMatching(/still here\n$/) as string });
  });
  it.each([1, 2])('executes random bytes, seed %i', async (seed) => {
    const binary = compiled('random-bytes');
    const ran = await runInGuest(
      ['sh', '-c', `/tmp/p 500 ${seed} > /dev/null; echo still here`],
      ['--put', `${binary}:/tmp/p`, '--timeout', '240'],
    );
    expect(ran).toMatchObject({ status: 0, stdout: 'still here\n' });
    expect(ran.stderr).toMatch(/^signal 11: \d+$/m); // the program's own count of how its children ended
  });
});

describe('a host that kills the lab', () => {
  const KILLS = 20;
  it(`keeps everything that was fsynced, ${KILLS} times`, async () => {
    const machine = join(temporaryFolder(), 'm.ringside');
    expect((await ringside(['new', machine])).status).toBe(0);
    expect((await ringside(['put', machine, compiled('fsync-writer'), '/root/writer'])).status).toBe(0);
    const random = newRandom(9);
    let promised = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const file = `/root/records-${kill}`;
      const child = startRingside(['run', machine, '--', '/root/writer', file, '0']);
      let output = '';
      child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
      child.stdin?.end();
      const ended = once(child, 'close');
      while (!output.includes('\n') && child.exitCode === null) await wait(20);
      await wait(randomBelow(random, 400));
      child.kill('SIGKILL');
      await ended;
      promised = Number(output.slice(0, output.lastIndexOf('\n')).split('\n').at(-1));
      expect(promised).toBeGreaterThan(0);
      const checked = await ringside(['run', machine, '--', '/root/writer', '-c', file]);
      expect(checked).toMatchObject({ status: 0, stderr: '' });
      expect(Number(checked.stdout)).toBeGreaterThanOrEqual(promised);
      expect(await ringside(['disk', machine, 'check', 'vda'])).toMatchObject({ status: 0 });
    }
  });
});
