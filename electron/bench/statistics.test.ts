import { describe, expect, it } from 'vitest';
import { byProcessorTime, geometricMean, groupMeans, median, ratiosOf, timingOf, type Row, type Samples } from './statistics.ts'; // prettier-ignore

const samplesOf = (whole: readonly number[], empty: readonly number[] = []): Samples => ({
  whole: whole.map((seconds) => ({ seconds, cpuSeconds: seconds / 2 })),
  empty: empty.map((seconds) => ({ seconds, cpuSeconds: seconds / 2 })),
});

const rowOf = (program: string, group: string, native: Samples, qemu: Samples, ringside: Samples): Row => ({
  program,
  group,
  n: 1,
  samples: { native, qemu, ringside },
  checksum: 'x',
  problems: [],
});

describe('median and mean', () => {
  it.each([
    [[3, 1, 2], 2],
    [[4, 1, 2, 3], 2.5],
    [[7], 7],
    [[], NaN],
  ])('median of %j', (values, expected) => expect(median(values)).toBe(expected));

  it.each([
    [[1, 4], 2],
    [[8], 8],
    [[], NaN],
    [[1, 0], NaN],
    [[1, -2], NaN],
  ])('geometric mean of %j', (values, expected) => {
    if (Number.isNaN(expected)) expect(geometricMean(values)).toBe(NaN);
    else expect(geometricMean(values)).toBeCloseTo(expected);
  });
});

describe('a program', () => {
  it('takes the start-up off the loop', () => {
    const { wholeSeconds, loopSeconds } = timingOf(samplesOf([1.2, 1, 1.1], [0.1, 0.3, 0.2]));
    expect([wholeSeconds, loopSeconds]).toEqual([1.1, expect.closeTo(0.9)]);
  });

  it('has no loop where n = 0 was not run', () => {
    expect(timingOf(samplesOf([1])).loopSeconds).toBe(NaN);
  });

  it('counts instructions a second in the loop', () => {
    const sample = (seconds: number, instructions: number) => ({
      seconds,
      cpuSeconds: seconds,
      instructions,
    });
    expect(timingOf({ whole: [sample(3, 5e6)], empty: [sample(1, 1e6)] }).mips).toBeCloseTo(2);
    expect(timingOf({ whole: [sample(2, 5e6)], empty: [] }).mips).toBeCloseTo(2.5);
  });

  it('has ratios of the loop and of the whole', () => {
    const row = rowOf('p', 'g', samplesOf([2], [1]), samplesOf([12], [2]), samplesOf([6], [1]));
    expect(ratiosOf(row, 'loop')).toEqual({ qemuToNative: 10, ringsideToNative: 5, qemuToRingside: 2 });
    expect(ratiosOf(row, 'whole')).toEqual({ qemuToNative: 6, ringsideToNative: 3, qemuToRingside: 2 });
  });

  it.each([
    ['a contender is missing', { ringside: samplesOf([1]) }],
    ['a loop is lost in noise', { qemu: samplesOf([1], [2]), ringside: samplesOf([3], [2]) }],
  ])('has no ratio where %s', (_case, samples) => {
    const row: Row = { program: 'p', group: 'g', n: 1, samples, checksum: '', problems: [] };
    expect(ratiosOf(row, 'loop').qemuToRingside).toBe(NaN);
  });

  it('can be told in processor time', () => {
    const row = byProcessorTime(rowOf('p', 'g', samplesOf([2]), samplesOf([4]), samplesOf([6])));
    expect(row.samples.ringside?.whole[0]?.seconds).toBe(3);
  });
});

describe('groups', () => {
  const fast = rowOf('f', 'one', samplesOf([1]), samplesOf([8]), samplesOf([2]));
  const slow = rowOf('s', 'one', samplesOf([1]), samplesOf([2]), samplesOf([2]));
  const other = rowOf('o', 'two', samplesOf([1]), samplesOf([3]), samplesOf([1]));

  it('have a mean each, and their slowest program', () => {
    const [one, two] = groupMeans([fast, other, slow]);
    expect(one).toMatchObject({ group: 'one', programs: 2, slowest: 1 });
    expect(one?.loop.qemuToRingside).toBeCloseTo(2);
    expect(two).toMatchObject({ group: 'two', programs: 1, slowest: 3 });
  });

  it('leave out programs that failed', () => {
    expect(groupMeans([fast, { ...slow, problems: ['it failed'] }])[0]).toMatchObject({
      programs: 1,
      slowest: 4,
    });
  });

  it('stand without qemu', () => {
    const [one] = groupMeans([{ ...fast, samples: { native: samplesOf([1]), ringside: samplesOf([3]) } }]);
    expect(one?.loop.ringsideToNative).toBeCloseTo(3);
    expect(one?.loop.qemuToRingside).toBe(NaN);
  });
});
