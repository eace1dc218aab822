/** Scales, histories, time views, stacking: the arithmetic behind the pictures. */
import { describe, expect, it } from 'vitest';
import { append, indexAt, newHistory, valueAt, windowOf } from './history.ts';
import { decimalsOf, difference, niceStep, niceTop, summarise, ticks } from './scale.ts';
import { stack } from './stack.ts';
import {
  clampView,
  fetchRange,
  firstEndingAfter,
  instantAt,
  panBy,
  serves,
  xOf,
  zoomAt,
} from './time-view.ts';

describe('scales', () => {
  it.each([
    [0.0012, 0.002],
    [0.3, 0.5],
    [1, 1],
    [1.01, 2],
    [7, 10],
    [23, 50],
    [0, 1],
  ])('the nice step for %d is %d', (least, step) => {
    expect(niceStep(least)).toBeCloseTo(step, 12);
  });
  it('ticks lie inside and at the ends', () => {
    expect(ticks(0, 10, 5)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(ticks(0.3, 0.9, 3)).toHaveLength(3);
    expect(ticks(5, 5, 4)).toEqual([5]);
  });
  it.each([
    [0, 10, false, 15],
    [97, 10, false, 100],
    [101, 10, false, 150],
    [5_000_000, 1, true, 6_291_456],
  ])('a scale for %d ends at a round value', (most, least, bytes, top) => {
    const got = niceTop(most, least, bytes);
    expect(got).toBeGreaterThanOrEqual(Math.max(most, least));
    expect(got).toBeLessThanOrEqual(top * 1.5);
  });
  it('labels get the decimals that tell them apart', () => {
    expect([10, 1, 0.5, 0.02, 1e-6].map(decimalsOf)).toEqual([0, 0, 1, 2, 6]);
  });
  it('histograms are summed up', () => {
    const { first, last, total, p50, p99 } = summarise([0, 0, 50, 49, 0, 1]);
    expect([first, last, total]).toEqual([2, 5, 100]);
    expect(p50).toBeCloseTo(8, 6);
    expect(p99).toBeGreaterThanOrEqual(8);
    expect(p99).toBeLessThan(64);
    expect(summarise([]).p50).toBeNaN();
  });
  it('a histogram that went back counts nothing', () => {
    expect(difference([5, 2], [3, 4])).toEqual([2, 0]);
    expect(difference([5, 2], undefined)).toEqual([5, 2]);
  });
});

describe('a history', () => {
  const filled = (count: number, capacity: number) => {
    const history = newHistory(['a'], capacity);
    for (let at = 0; at < count; at++) append(history, at * 10, new Map([['a', at]]));
    return history;
  };
  it('keeps at least its capacity, newest last', () => {
    const history = filled(1000, 64);
    expect(history.length).toBeGreaterThanOrEqual(64);
    expect(history.length).toBeLessThanOrEqual(128);
    expect(history.at[history.length - 1]).toBe(9990);
    expect(history.columns.get('a')?.[history.length - 1]).toBe(999);
  });
  it('gives windows with one point more on either side', () => {
    const [at, a, missing] = windowOf(filled(10, 64), 25, 55, ['a', 'b']);
    expect([...(at ?? [])]).toEqual([20, 30, 40, 50, 60]);
    expect([...(a ?? [])]).toEqual([2, 3, 4, 5, 6]);
    expect(missing).toHaveLength(0);
  });
  it('ignores an instant twice and forgets what lies ahead of one that went back', () => {
    const history = filled(5, 64);
    append(history, 40, new Map([['a', 99]]));
    expect(history.length).toBe(5);
    append(history, 5, new Map([['a', 1]]));
    expect(history.length).toBe(1);
  });
  it('finds values', () => {
    const history = filled(5, 64);
    expect(indexAt(history, 11)).toBe(2);
    expect(valueAt(history, 'a', 29)).toBe(2);
    expect(valueAt(history, 'none', 29)).toBeNaN();
  });
});

describe('a view of time', () => {
  const limits = { fromNs: 0, toNs: 1e9 };
  it('stays inside its limits', () => {
    expect(clampView({ fromNs: -5e8, toNs: 1e8 }, limits)).toEqual({ fromNs: 0, toNs: 6e8 });
    expect(clampView({ fromNs: 9e8, toNs: 5e9 }, limits)).toEqual(limits);
    expect(panBy({ fromNs: 8e8, toNs: 9e8 }, limits, 5e8)).toEqual({ fromNs: 9e8, toNs: 1e9 });
  });
  it('zooms around the pointer and not below a microsecond', () => {
    const view = zoomAt(limits, limits, 2.5e8, 0.5);
    expect(xOf(view, 1000, 2.5e8)).toBeCloseTo(250, 6);
    let narrow = view;
    for (let i = 0; i < 100; i++) narrow = zoomAt(narrow, limits, 2.5e8, 0.5);
    expect(narrow.toNs - narrow.fromNs).toBeCloseTo(1000, 3);
    expect(zoomAt(narrow, limits, 2.5e8, 1e9)).toEqual(limits);
  });
  it('goes from instants to pixels and back', () => {
    const view = { fromNs: 3e8, toNs: 7e8 };
    expect(instantAt(view, 800, xOf(view, 800, 4.2e8))).toBeCloseTo(4.2e8, 3);
  });
  it('asks for more than it shows, and asks again when that is left or too coarse', () => {
    const fetched = fetchRange({ fromNs: 4e8, toNs: 5e8 }, limits);
    expect(fetched).toEqual({ fromNs: 3.5e8, toNs: 5.5e8 });
    expect(serves(fetched, { fromNs: 3.6e8, toNs: 4.6e8 })).toBe(true);
    expect(serves(fetched, { fromNs: 3.4e8, toNs: 4.4e8 })).toBe(false);
    expect(serves(fetched, { fromNs: 4e8, toNs: 4.1e8 })).toBe(false);
    expect(serves(null, limits)).toBe(false);
  });
  it('finds the slice under an instant', () => {
    expect(firstEndingAfter([10, 20, 30], 10)).toBe(1);
    expect(firstEndingAfter([10, 20, 30], 30)).toBe(3);
    expect(firstEndingAfter([10, 20, 30], 5, 1)).toBe(1);
  });
});

it('stacked columns sum up from the last', () => {
  const sums = stack([Float64Array.of(1, 1), Float64Array.of(2, 2), Float64Array.of(4, 5)]);
  expect(sums.map((column) => [...column])).toEqual([
    [7, 8],
    [6, 7],
    [4, 5],
  ]);
});
