// SSE and MMX against the real CPU, bit for bit, where there is one; some cases of each form.
import { afterAll, describe, expect, it } from 'vitest';
import type { Emulated } from '../lockstep/emulated.ts';
import { bootEmulated, runEmulated } from '../lockstep/emulated.ts';
import { caseFor } from '../lockstep/generate.ts';
import { describeFailure, runLockstep } from '../lockstep/judge.ts';
import { buildNative, removeNative, runNative } from '../lockstep/native.ts';
import { STATE, batchOf } from '../lockstep/records.ts';

const host = buildNative();
const emulated: Emulated | undefined = host === undefined ? undefined : bootEmulated();

describe.skipIf(host === undefined)('SSE and MMX as on the real CPU', () => {
  afterAll(() => {
    if (host !== undefined) removeNative(host);
  });

  it('leaves the same state after every form', { timeout: 120_000 }, () => {
    if (host === undefined || emulated === undefined) return;
    const options = { families: ['sse'], cases: 8, seed: 7, only: /^/, sequences: 500, x87Pointers: false };
    const report = runLockstep(host, emulated, options);
    const shown = report.failures.slice(0, 5).map((failure) => describeFailure(host, failure));
    expect(shown.join('\n')).toBe('');
    expect(report.forms).toBeGreaterThan(350);
  });

  it.each(['rcpps', 'rcpss', 'rsqrtps', 'rsqrtss'])('approximates %s within 1.5 · 2^-12', (mnemonic) => {
    if (host === undefined || emulated === undefined) return;
    const entry = emulated.machine.code.map.entries.find((one) => one.instruction.mnemonic === mnemonic);
    if (entry === undefined) throw new Error(`no ${mnemonic}`);
    const tests = Array.from({ length: 400 }, (_unused, i) => caseFor(entry, i * 7919 + 1));
    const wrong: string[] = [];
    runNative(host, batchOf(tests), tests.length).forEach((native, i) => {
      const test = tests[i];
      if (test === undefined) return;
      const ours = runEmulated(emulated, test);
      const [real, emulatedTrap] = [native.state[STATE.trap], ours.state[STATE.trap]];
      if (real !== emulatedTrap) wrong.push(`trap ${real} ${emulatedTrap}`);
      const [a, b] = [native, ours].map(
        ({ state }) => new DataView(state.buffer, state.byteOffset + STATE.fx * 4),
      );
      if (a === undefined || b === undefined) return;
      for (let at = 160; at < 416; at += 4) {
        if (a.getUint32(at, true) === b.getUint32(at, true)) continue;
        const [x, y] = [a.getFloat32(at, true), b.getFloat32(at, true)];
        // Each may be off by the bound
        if (!(Math.abs(x - y) <= Math.abs(x) * 3 * 2 ** -12)) wrong.push(`${at}: ${x} ${y}`);
      }
    });
    expect(wrong).toEqual([]);
  });
});
