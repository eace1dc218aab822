// A short round of fuzz.ts from fixed seeds: ring 0, page tables, random code, in both tiers.
import { expect, it } from 'vitest';
import { fuzzMany } from './fuzz.ts';

it.each([
  ['interpreted', 'v2', 'off', 1],
  ['compiled soon', 'v3', 'eager', 100_000],
] as const)('survives random machines, %s', { timeout: 60_000 }, (_name, cpu, compiler, seed) => {
  const report = fuzzMany({ seed, cpu, compiler }, { cases: 400, milliseconds: 12_000 });
  expect(report.failures).toEqual([]);
  expect(report.cases).toBeGreaterThan(20);
});
