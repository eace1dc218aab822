// Every form of the instructions against what a real CPU did when the vectors were recorded (vectors.ts says how).
import { describe, expect, it } from 'vitest';
import { FAMILIES } from './cases.ts';
import { bootEmulated } from './emulated.ts';
import { replayVectors } from './vectors.ts';

describe('instructions as on the recorded CPU', () => {
  it.each([...FAMILIES])('every form of the family %s', { timeout: 120_000 }, (family) => {
    expect(replayVectors(bootEmulated('v3'), family)).toEqual([]);
  });
});
