import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { compilerInput, sqlInput, textInput } from './inputs.ts';

const hashOf = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex').slice(0, 16);

describe('input of the benchmark', () => {
  it.each([
    ['no function', 0, 8],
    ['one function', 12, 20],
    ['5,000 lines', 5040, 5048],
  ])('C file, %s', (_case, wanted, lines) => {
    expect(compilerInput(wanted).split('\n')).toHaveLength(lines);
  });

  it('text has the length that was asked for, and lines', () => {
    expect(textInput(0)).toHaveLength(0);
    const text = textInput(20_000);
    expect(text).toHaveLength(20_000);
    const lines = new TextDecoder().decode(text).split('\n');
    expect(lines.length).toBeGreaterThan(200);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(100);
  });

  it('SQL has a statement for each row', () => {
    expect(sqlInput(250).match(/^INSERT /gm)).toHaveLength(250);
    expect(sqlInput(0).match(/^INSERT /gm)).toBe(null);
  });

  it.each([
    ['text', () => textInput(100_000)],
    ['SQL', () => sqlInput(1000)],
  ])('%s is the same every time', (_case, make) => {
    expect(hashOf(make())).toBe(hashOf(make()));
  });

  it('the C file stays what earlier figures were measured with', () => {
    expect(hashOf(compilerInput(5040))).toBe('0e516c1c8fa8407a');
  });
});
