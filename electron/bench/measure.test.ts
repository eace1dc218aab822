import { describe, expect, it } from 'vitest';
import type { Job } from './jobs.ts';
import { measure } from './measure.ts';
import { partTimes, selfTimes } from './profile.ts';
import type { Contender } from './statistics.ts';

const sample = { seconds: 1, cpuSeconds: 1 };

function jobThat(run: Job['run']): Job {
  const profile = (): never => {
    throw new Error('not here');
  };
  return { name: 'p', group: 'integer', n: 7, hasEmptyRun: true, profile, run };
}

describe('measuring', () => {
  it('goes round all contenders, with n and with 0', () => {
    const calls: string[] = [];
    const job = jobThat((contender, n) => {
      calls.push(`${contender} ${n}`);
      return { sample, checksum: String(n) };
    });
    const row = measure(job, ['native', 'ringside'], 2);
    expect(calls).toEqual(['native 7', 'native 0', 'ringside 7', 'ringside 0', 'native 7', 'native 0', 'ringside 7', 'ringside 0']); // prettier-ignore
    expect(row).toMatchObject({ checksum: '7', problems: [] });
    expect(row.samples.ringside?.whole).toHaveLength(2);
    expect(row.samples.qemu).toBe(undefined);
  });

  it.each([
    ['prints something else', (contender: Contender) => (contender === 'qemu' ? 'b' : 'a'), /qemu gives "b" where native gives "a"/],
    ['fails', (contender: Contender) => { if (contender === 'qemu') throw new Error('killed'); return 'a'; }, /killed/],
  ])('goes on without a contender that %s', (_case, checksum, problem) => {
    const job = jobThat((contender) => ({ sample, checksum: checksum(contender) }));
    const row = measure(job, ['native', 'qemu', 'ringside'], 3);
    expect(row.problems).toEqual([expect.stringMatching(problem)]);
    expect(row.checksum).toBe('');
    expect(Object.keys(row.samples)).toEqual(['native', 'ringside']);
    expect(row.samples.native?.whole).toHaveLength(3);
  }); // prettier-ignore
});

describe('a profile', () => {
  it('adds up the time of each function, in wasm too', () => {
    const node = (id: number, functionName: string, url: string, lineNumber = 0) => ({
      id,
      callFrame: { functionName, url, lineNumber, scriptId: '1', columnNumber: 0 },
    });
    const profile = {
      nodes: [
        node(1, 'step', 'file:///somewhere/kernel/trap/loop.ts', 9),
        node(2, 'loop', 'wasm://wasm/0001'),
        node(3, 'loop', 'wasm://wasm/0001', 5),
      ],
      startTime: 0,
      endTime: 10,
      samples: [1, 2, 3, 2],
      timeDeltas: [1000, 2000, 3000, 500],
    };
    expect(selfTimes(profile)).toEqual([
      { name: 'loop', place: 'wasm 0001', selfMs: 5.5 },
      { name: 'step', place: 'kernel/trap/loop.ts:10', selfMs: 1 },
    ]);
  });

  it('adds up parts of the project', () => {
    const at = (place: string, selfMs: number, name = 'f') => ({ name, place, selfMs });
    const parts = partTimes([
      at('wasm 1', 9),
      at('kernel/machine/decode/decode.ts:1', 4),
      at('kernel/machine/decode/code-cache.ts:1', 3),
      at('wasm 2', 2),
      at('', 1.5, '(garbage collector)'),
      at('wasm 3', 1),
      at('wasm 4', 0.25),
      at('kernel/mm/fault.ts:9', 0.5),
    ]);
    expect(parts.map(({ part, selfMs }) => `${part} ${selfMs}`)).toEqual([
      'wasm 1 9', 'kernel/machine/decode 7', 'wasm 2 2', '(garbage collector) 1.5', 'wasm, 2 further modules 1.25', 'kernel/mm 0.5',
    ]); // prettier-ignore
  });
});
