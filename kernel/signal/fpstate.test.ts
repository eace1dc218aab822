// The FPU state of signal frames: Linux's marks around an XSAVE area, for each CPU model.
import { describe, expect, it } from 'vitest';
import { fpstateBytes, isMarkedFpstate, minimumStack, writeFpstate } from '../abi/signal-frame.ts';
import { get32, put32 } from '../lib/bytes.ts';
import { createMachine, initialXsave, isXsaveHeader, loadXsave, saveXsave } from '../machine/index.ts';

describe.each([
  ['v2', 576, 3],
  ['v3', 832, 7],
] as const)('on %s', (cpuModel, areaBytes, components) => {
  const machine = createMachine({ cpuCount: 1, memoryBytes: 64 << 20, cpuModel });

  it('is an XSAVE area between magic numbers', () => {
    const bytes = writeFpstate(machine, saveXsave(machine, 0));
    expect(bytes.length).toBe(areaBytes + 4);
    expect([464, 468, 472, 480, areaBytes].map((at) => get32(bytes, at) >>> 0)).toEqual([
      0x4650_5853,
      areaBytes + 4,
      components,
      areaBytes,
      0x4650_5845,
    ]);
    expect(isMarkedFpstate(machine, bytes)).toBe(true);
    expect(minimumStack(fpstateBytes(machine))).toBeGreaterThan(areaBytes + 440);
  });

  it.each([464, 468, 480, areaBytes])('is an FXSAVE image only when the word at %i is another', (at) => {
    const bytes = writeFpstate(machine, saveXsave(machine, 0));
    put32(bytes, at, 1);
    expect(isMarkedFpstate(machine, bytes)).toBe(false);
  });

  it('brings back what it holds, and resets what it does not', () => {
    const area = initialXsave(machine);
    area.fill(0x5a, 160, 416);
    area.fill(0xa5, 576);
    area[512] = components;
    loadXsave(machine, 0, area);
    const saved = saveXsave(machine, 0);
    expect(saved.subarray(160, 416)).toEqual(area.subarray(160, 416));
    expect(saved.subarray(576)).toEqual(area.subarray(576));
    loadXsave(machine, 0, initialXsave(machine));
    expect(saveXsave(machine, 0).subarray(576)).toEqual(new Uint8Array(areaBytes - 576));
  });

  it.each([
    ['unknown components', 512, 0x80],
    ['the compacted form', 527, 0x80],
    ['reserved bytes', 530, 1],
  ])('is refused with %s', (_case, at, value) => {
    const area = initialXsave(machine);
    expect(isXsaveHeader(machine, area)).toBe(true);
    area[at] = value;
    expect(isXsaveHeader(machine, area)).toBe(false);
  });
});
