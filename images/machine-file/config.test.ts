// A machine's configuration as a file may hold it: the CPU model, which older files do not name.
import { describe, expect, it } from 'vitest';
import { checkConfig } from './config.ts';
import { config } from './testing.ts';

describe('the CPU of a machine', () => {
  it.each([
    ['is v2 when none is named', {}, undefined],
    ['may be v2', { cpuModel: 'v2' }, undefined],
    ['may be v3', { cpuModel: 'v3' }, 'v3'],
  ])('%s', (_case, more, model) => {
    const checked = checkConfig({ ...config, ...more });
    expect(typeof checked === 'string' ? checked : checked.cpuModel).toBe(model);
  });

  it.each(['v4', 3, null])('is not %j', (cpuModel) => {
    const wanted = cpuModel === null ? { ...config } : 'The CPU is one of v2 and v3.';
    expect(checkConfig({ ...config, cpuModel })).toEqual(wanted);
  });
});
