// Every form of the instructions against what a real CPU did when the vectors were recorded (vectors.ts says how).
import { describe, expect, it } from 'vitest';
import { bootEmulated } from './emulated.ts';
import { replayVectors } from './vectors.ts';

describe('instructions as on the recorded CPU', () => {
  it.each(['integer', 'sse', 'x87'])('every form of the family %s', { timeout: 120_000 }, (family) => {
    expect(replayVectors(bootEmulated(), family)).toEqual([]);
  });
});
