// A program that makes code forever and runs it: on more pages than there are code slots, and again and again on one page.
// What is kept of it stays within its bounds, in both tiers, and the code does what it should.
import { describe, expect, it } from 'vitest';
import { CODE_SLOTS, ENTRIES } from '../layout.ts';
import type { Machine } from '../index.ts';
import { REGISTER, createMachine, readRegister, run, setPageTable, store64, writeBytes, writeRegister } from '../index.ts'; // prettier-ignore
import { loadContext, newContext } from '../registers.ts';
import { FIRST_ENTRY } from '../exec/signatures.ts';
import type { Tier } from './tiers.ts';
import { configureTier } from './tiers.ts';

const CODE = 0x40_0000;
const MADE = 0x100_0000; // 2 MiB pages from here on
const INSTRUCTIONS_A_TURN = 13;

// 1: mov byte [r12], 0xb8; mov [r12+1], r13d; mov byte [r12+5], 0xc3 (mov eax, r13d; ret); call r12; add rbx, rax;
// inc r13d; add r12, r9; cmp r12, r14; jb 2f; mov r12, r15; nop; 2: jmp 1b
const MAKER = '41 C6 04 24 B8 45 89 6C 24 01 41 C6 44 24 05 C3 41 FF D4 48 01 C3 41 FF C5 4D 01 CC 4D 39 F4 72 04 4D 89 FC 90 EB D9'; // prettier-ignore

function bootMaker(tier: Tier, pages: number, step: number): Machine {
  const machine = createMachine({ cpuCount: 1, memoryBytes: 64 << 20, cpuModel: 'v2' });
  configureTier(machine, tier);
  store64(machine, 0x1000, 0x2007);
  store64(machine, 0x2000, 0x3007);
  for (let i = 0; i < 32; i++) store64(machine, 0x3000 + i * 8, i * 0x20_0000 + 0x87);
  setPageTable(machine, 0, 0x1000);
  writeBytes(
    machine,
    CODE,
    Uint8Array.from(MAKER.split(' '), (byte) => parseInt(byte, 16)),
  );
  const context = newContext();
  loadContext(machine, 0, context);
  writeRegister(machine, 0, REGISTER.rip, CODE);
  writeRegister(machine, 0, REGISTER.rsp, 0x80_0000);
  writeRegister(machine, 0, REGISTER.r9, step);
  writeRegister(machine, 0, REGISTER.r12, MADE);
  writeRegister(machine, 0, REGISTER.r14, MADE + pages * 4096);
  writeRegister(machine, 0, REGISTER.r15, MADE);
  return machine;
}

describe.each<Tier>(['interpreter', 'compiler'])('a program that makes code forever, in the %s', (tier) => {
  it.each([
    ['on more pages than there are slots', 1100, 4096, 1300],
    ['on one page, again and again', 1, 4096, 400],
    ['side by side on a few pages', 3, 16, 500],
  ])('%s', { timeout: 120_000 }, (_name, pages, step, turns) => {
    const machine = bootMaker(tier, pages, step);
    const { code, compiler, linker } = machine;
    let done = 0;
    while (done < turns) {
      const part = Math.min(100, turns - done);
      // Turns are of 13 instructions, those that go back to the first page of 15
      let executed = 0;
      while (readRegister(machine, 0, REGISTER.r13) < done + part)
        executed += run(machine, 0, INSTRUCTIONS_A_TURN).executed;
      expect(executed).toBeGreaterThan(0);
      done = readRegister(machine, 0, REGISTER.r13);
      expect(code.openLinks.size).toBeLessThanOrEqual(CODE_SLOTS);
      expect(compiler.entries.size).toBeLessThanOrEqual(CODE_SLOTS);
      expect(compiler.dependants.size).toBeLessThanOrEqual(CODE_SLOTS + 1);
      const cells = [...compiler.entries.values()].reduce((sum, entries) => sum + entries.length, 0);
      expect(cells + compiler.freeEntries.length).toBe(ENTRIES);
      expect(compiler.regions.size).toBeLessThanOrEqual(cells);
      expect(linker.tableUsed).toBeLessThan(FIRST_ENTRY);
    }
    const handlers = linker.tableUsed;
    // RBX has the sum of all numbers that the made functions gave back; the last may not be in it yet
    const sum = readRegister(machine, 0, REGISTER.rbx);
    expect([(done * (done - 1)) / 2, ((done + 1) * done) / 2]).toContain(sum);
    for (let i = 0; i < 50; i++) run(machine, 0, 100);
    expect(linker.tableUsed).toBe(handlers);
    if (tier === 'compiler') expect(compiler.statistics.regions).toBeGreaterThan(0);
  });
});
