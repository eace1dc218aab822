// SSE and MMX against the real CPU, bit for bit, where there is one; some cases of each form.
import { describe, expect, it } from 'vitest';
import { bootEmulated } from '../lockstep/emulated.ts';
import { describeFailure, runLockstep } from '../lockstep/lockstep.ts';
import { buildNative, removeNative } from '../lockstep/native.ts';

const host = buildNative();

describe.skipIf(host === undefined)('SSE and MMX as on the real CPU', () => {
  it('leaves the same state after every form', { timeout: 120_000 }, () => {
    if (host === undefined) return;
    const options = { families: ['sse'], cases: 8, seed: 7, only: /^/, sequences: 500, x87Pointers: false };
    const report = runLockstep(host, bootEmulated(), options);
    const shown = report.failures.slice(0, 5).map((failure) => describeFailure(host, failure));
    removeNative(host);
    expect(shown.join('\n')).toBe('');
    expect(report.forms).toBeGreaterThan(250);
  });
});
