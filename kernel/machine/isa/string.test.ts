// Repeated string instructions whose count would keep the machine busy for days, or just for long.
import { expect, it } from 'vitest';
import type { TestCpu } from '../exec/test-cpu.ts';
import { bootTestCpu } from '../exec/test-cpu.ts';
import { store64 } from '../memory.ts';
import { flushTlb } from '../run.ts';

/** 512 GiB of addresses that are one page, which is its own page table. */
const START = 1n << 39n;
function mapOnePage({ machine }: TestCpu, isThere: boolean): void {
  for (let i = 0; i < 512; i++) store64(machine, 0x13_0000 + i * 8, 0x13_0007);
  store64(machine, 0x1000 + 8, isThere ? 0x13_0007 : 0);
  flushTlb(machine, 0);
}

it.each([
  ['lodsb', 'F3 AC'],
  ['scasq', 'F2 48 AF'],
  ['stosq', 'F3 48 AB'],
  ['movsb', 'F3 A4'],
  ['movsb downward', 'FD F3 A4'],
  ['outsb', 'F3 6E'],
])('REP %s with an endless count comes back', (_name, code) => {
  const cpu = bootTestCpu(code, 'v2', 'kernel');
  mapOnePage(cpu, true);
  cpu.set('rsi', START + (code.startsWith('FD') ? 1n << 38n : 0n));
  cpu.set('rdi', START + (1n << 38n) - 8n);
  cpu.set('rax', code.endsWith('AF') ? 5 : 0x13_0007);
  cpu.set('rcx', -1);
  const trap = cpu.run(3);
  expect(trap).toMatchObject({ kind: 'budget', executed: 3 });
  const done = 0xffff_ffff_ffff_ffffn - cpu.get('rcx');
  expect(done > 4000n && done < 1n << 40n).toBe(true);
  mapOnePage(cpu, false);
});

it('counts in both tiers when it starts over', () => {
  // 1: mov ecx, 300000h; mov rsi, rbx; rep lodsb; inc edi; jmp 1b
  const outcomes = [false, true].map((enabled) => {
    const cpu = bootTestCpu('B9 00 00 30 00 48 89 DE F3 48 AD FF C7 EB F1');
    const before = cpu.machine.compiler.settings;
    const { regions } = cpu.machine.compiler.statistics;
    cpu.machine.compiler.settings = { ...before, enabled, threshold: 1 };
    mapOnePage(cpu, true);
    cpu.set('rbx', START);
    cpu.set('rdi', 0);
    for (const slice of [20, 7, 1, 30]) expect(cpu.run(slice).executed).toBe(slice);
    expect(cpu.machine.compiler.statistics.regions > regions).toBe(enabled);
    mapOnePage(cpu, false);
    cpu.machine.compiler.settings = before;
    return [cpu.get('rip'), cpu.get('rdi'), cpu.get('rcx'), cpu.get('rsi')];
  });
  expect(outcomes[1]).toEqual(outcomes[0]);
});
