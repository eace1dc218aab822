// The main job from the command line, with Debian's programs in the guest and the host's Linux as the judge.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { guestPrograms, largeProgram } from '../../images/programs/index.ts';
import { ringside, runInGuest, temporaryFolder } from './test-run.ts';

const programs = join(import.meta.dirname, '../../images/programs');
const hasCompiler =
  spawnSync('gcc', ['--version']).status === 0 && process.platform === 'linux' && process.arch === 'x64';

describe.concurrent('shell and tools', () => {
  it('connects stdout and gives the status', async () => {
    expect(await runInGuest(['sh', '-c', 'echo hello; exit 3'])).toMatchObject({
      stdout: 'hello\n',
      status: 3,
    });
  });
  it('keeps stderr apart and says which signal killed', async () => {
    expect(await runInGuest(['sh', '-c', 'echo no >&2; kill -9 $$'])).toMatchObject({
      stdout: '',
      stderr: 'no\n',
      status: 137,
    });
  });
  it('lists the root', async () => {
    expect(await runInGuest(['sh', '-c', 'ls / | sort | head -3'])).toMatchObject({
      stdout: 'bin\nboot\ndev\n',
      status: 0,
    });
  });
  it('shows init as 1 and kernel threads', async () => {
    const { stdout, status } = await runInGuest(['ps']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ +1 root .* (\/sbin\/)?init/m);
    expect(stdout).toMatch(/\[kthreadd\]/);
    expect(stdout).toMatch(/\[kswapd0\]/);
  });
  it('says what it is', async () => {
    expect((await runInGuest(['uname', '-srm'])).stdout).toMatch(/^Linux 6\.1\.\S+ x86_64\n$/);
  });
  it('gives standard input to the program', async () => {
    const input = Array.from({ length: 5000 }, (_, i) => `line ${i}\n`).join('');
    expect((await runInGuest(['wc', '-l'], [], input)).stdout.trim()).toBe('5000');
  });
  it('ends a command that takes too long', async () => {
    expect((await runInGuest(['sh', '-c', 'while :; do :; done'], ['--timeout', '2'])).status).toBe(124);
  });
  it('says when a command is missing', async () => {
    expect((await runInGuest(['no-such-program'])).status).toBe(127);
  });
});

describe('compiler', () => {
  const hello = join(programs, 'hello.c');
  const expected = readFileSync(join(programs, 'hello.expected'), 'latin1');
  it('compiles and runs hello.c', async () => {
    const ran = await runInGuest(
      ['sh', '-c', 'tcc -o /tmp/hello /tmp/hello.c && /tmp/hello'],
      ['--put', `${hello}:/tmp/hello.c`],
    );
    expect(ran).toMatchObject({ stdout: expected, status: 0 });
  });
  it('runs it at once with -run', async () => {
    expect(
      await runInGuest(['tcc', '-run', '/tmp/hello.c'], ['--put', `${hello}:/tmp/hello.c`]),
    ).toMatchObject({ stdout: expected, status: 0 });
  });
  it('says what is wrong with a program', async () => {
    const path = join(temporaryFolder(), 'wrong.c');
    writeFileSync(path, 'int main(void) {\n  return missing;\n}\n');
    const ran = await runInGuest(['tcc', '-o', '/tmp/x', '/tmp/wrong.c'], ['--put', `${path}:/tmp/wrong.c`]);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toMatch(/\/tmp\/wrong\.c:2: error/);
  });
  it('compiles 2,000 lines', async () => {
    const path = join(temporaryFolder(), 'many.c');
    const program = largeProgram(2000);
    writeFileSync(path, program.source);
    const ran = await runInGuest(
      ['sh', '-c', 'tcc -w -o /tmp/many /tmp/many.c && /tmp/many'],
      ['--put', `${path}:/tmp/many.c`],
    );
    expect(ran).toMatchObject({ stdout: program.expected, status: 0 });
  });
});

describe('memory', () => {
  it('survives a program of one and a half times the RAM', async () => {
    const stats = join(temporaryFolder(), 'vmstat');
    const script = 'tcc -o /tmp/hog /tmp/hog.c && /tmp/hog && cat /proc/vmstat > /tmp/vmstat';
    const ran = await runInGuest(
      ['sh', '-c', script],
      [
        '--memory',
        '128M',
        '--swap',
        '256M',
        '--put',
        `${join(programs, 'memory-hog.c')}:/tmp/hog.c`,
        '--get',
        `/tmp/vmstat:${stats}`,
      ],
    );
    expect(ran.status).toBe(0);
    expect(ran.stdout).toMatch(/checksum/);
    const vmstat = readFileSync(stats, 'latin1');
    for (const name of ['pswpin', 'pswpout'])
      expect(Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(vmstat)?.[1])).toBeGreaterThan(1000);
  });
});

describe('the host is the oracle', () => {
  // programs.test.ts in images/ holds the same programs to the same output on the host.
  const judged = guestPrograms().filter(
    ({ name, expected }) => expected !== undefined && name !== 'memory-hog',
  );
  it.each(judged)('$name prints the same, compiled in the guest', async ({ path, name, args, expected }) => {
    const ran = await runInGuest(
      [
        'sh',
        '-c',
        `tcc -w -o /tmp/${name} /tmp/${name}.c -lpthread && exec /tmp/${name} "$@"`,
        'sh',
        ...args,
      ],
      ['--put', `${path}:/tmp/${name}.c`],
    );
    expect(ran).toMatchObject({ stdout: expected, status: 0 });
  });
  it.skipIf(!hasCompiler).each(judged)(
    "$name prints the same, compiled by the host's gcc",
    async ({ path, name, args, expected }) => {
      const binary = join(temporaryFolder(), name);
      execFileSync('gcc', ['-O2', '-static', '-w', '-pthread', '-o', binary, path]);
      const ran = await runInGuest([`/tmp/${name}`, ...args], ['--put', `${binary}:/tmp/${name}`]);
      expect(ran).toMatchObject({ stdout: expected, status: 0 });
    },
  );
});

describe('determinism', () => {
  const command = [
    'sh',
    '-c',
    'for i in 1 2 3; do (ls -l /etc | wc -c) & (cat /proc/cpuinfo > /dev/null) & done; wait; date',
  ];
  async function figures(seed: string): Promise<{ stdout: string; traceHash: unknown }> {
    const path = join(temporaryFolder(), 'stats.json');
    const { stdout } = await runInGuest(command, ['--seed', seed, '--cpus', '2', '--stats', path]);
    const { traceHash } = JSON.parse(readFileSync(path, 'utf8')) as { traceHash: unknown };
    return { stdout, traceHash };
  }
  it('repeats a run with the same seed, and not with another', async () => {
    const [first, second, other] = [await figures('7'), await figures('7'), await figures('8')];
    expect(second).toEqual(first);
    expect(other.traceHash).not.toBe(first.traceHash);
  });
});

describe('bad input', () => {
  it.each([
    ['a missing file', 'none.ringside', null],
    ['an empty file', 'empty.ringside', ''],
    ['a foreign file', 'foreign.ringside', 'this is no machine\n'.repeat(1000)],
  ])('refuses %s', async (_case, name, content) => {
    const path = join(temporaryFolder(), name);
    if (content !== null) writeFileSync(path, content);
    const ran = await ringside(['open', path]);
    expect(ran.status).toBe(125);
    expect(ran.stderr).toMatch(/^ringside: .*(machine|no file)/);
    expect(ran.stderr.split('\n').length).toBeLessThan(4);
    if (content !== null) expect(readFileSync(path, 'utf8')).toBe(content);
  });
  it('refuses a missing image', async () => {
    const ran = await ringside(['run', '--image', 'nothing', '--', 'true']);
    expect(ran).toMatchObject({
      status: 125,
      stderr: expect.stringMatching(/no image named nothing/) as string,
    });
  });
});
