import { describe, expect, it } from 'vitest';
import { parseArguments, UsageError } from './arguments.ts';
import { compilerOf, compilerOption } from './compiler-option.ts';
import { figuresOf, type RunStats } from './stats.ts';

const before: RunStats = {
  virtualNs: 10, instructions: 1_000_000, syscalls: 5, faults: 6, contextSwitches: 7, traceHash: 'a',
  compiledInstructions: 400_000, regions: 3, compileMs: 1.5, wasmBytes: 1000,
}; // prettier-ignore
const after: RunStats = {
  virtualNs: 30, instructions: 9_000_000, syscalls: 8, faults: 6, contextSwitches: 9, traceHash: 'b',
  compiledInstructions: 6_400_000, regions: 8, compileMs: 4, wasmBytes: 51_000,
}; // prettier-ignore

describe('figures of a run', () => {
  it('are those of the command, with the hash of the whole run', () => {
    expect(figuresOf(before, after, { compiler: 'on', hostMs: 20, bootHostMs: 700 })).toEqual({
      hostMs: 20, bootHostMs: 700, virtualNs: 20, instructions: 8_000_000, instructionsPerSecond: 400_000_000, compiler: 'on',
      compiledShare: 0.75, regionsCompiled: 5, compileMs: 2.5, wasmBytes: 50_000, syscalls: 3, faults: 0, contextSwitches: 2,
      traceHash: 'b',
    }); // prettier-ignore
  });
  it('have no share and no speed where nothing ran', () => {
    const figures = figuresOf(after, after, { compiler: 'off', hostMs: 0, bootHostMs: 700 });
    expect(figures).toMatchObject({ compiler: 'off', compiledShare: null, instructionsPerSecond: null });
  });
});

describe('--compiler', () => {
  const compilerIn = (...line: string[]) => compilerOf(parseArguments(line, compilerOption, ''));
  it.each([
    [[], 'on'],
    [['--compiler', 'on'], 'on'],
    [['--compiler=off'], 'off'],
  ])('%j is %s', (line, expected) => expect(compilerIn(...line)).toBe(expected));
  it.each(['', 'Off', '0'])('refuses %j', (text) =>
    expect(() => compilerIn('--compiler', text)).toThrow(UsageError),
  );
});
