// Extents of compiled code: how far they reach, and that they change nothing. Loops read and write at addresses from a list,
// in three page tables on both sides of a 1 GiB border, whose entries change at random between runs.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { contextOf } from '../cpu.ts';
import { REGISTER, type Machine } from '../index.ts';
import { invalidatePage } from '../index.ts';
import { COMPILED, EXTENT } from '../layout.ts';
import { PTE } from '../machine.ts';
import { load64, readBytes, store64, writeBytes } from '../memory.ts';
import { loadContext, newContext, readRegister, writeRegister } from '../registers.ts';
import { createMachine, run, setPageTable } from '../run.ts';
import type { Tier } from './tiers.ts';
import { configureTier } from './tiers.ts';
import { below, chance, oneIn, type Chance } from './values.ts';

const CODE = 0x40_0000;
const LIST = 0x50_0000;
const LIST_LENGTH = 512;
const PAGES = 3 * 512;
/** 2 MiB below 1 GiB. */
const DATA = 0x3fe0_0000;
const TABLES = 0x1_0000;
const FRAMES = 0x100_0000;
const OTHER_FRAMES = 0x200_0000;
const FULL = PTE.present | PTE.user | PTE.write | PTE.accessed | PTE.dirty;

// 1: mov rax, [rsi]; add rsi, 8; add rdi, [rax] or add [rax], rcx; dec ecx; jnz 1b
const READING = [0x48, 0x8b, 0x06, 0x48, 0x83, 0xc6, 8, 0x48, 0x03, 0x38, 0xff, 0xc9, 0x75, 0xf2];
const WRITING = [0x48, 0x8b, 0x06, 0x48, 0x83, 0xc6, 8, 0x48, 0x01, 0x08, 0xff, 0xc9, 0x75, 0xf2];
const WRITING_AT = 0x100;
const ACCESS_LENGTH = 3;

const SCATTERED = Array.from({ length: LIST_LENGTH }, (_none, i) => DATA + ((i * 389) % PAGES) * 4096);

const entryOf = (page: number): number => TABLES + page * 8;

function boot(tier: Tier): Machine {
  const machine = createMachine({ cpuCount: 1, memoryBytes: 64 << 20, cpuModel: 'v2' });
  configureTier(machine, tier);
  store64(machine, 0x1000, 0x2007);
  store64(machine, 0x2000, 0x3007);
  store64(machine, 0x2008, 0x8007);
  store64(machine, 0x3000 + (CODE >> 21) * 8, 0x4007);
  store64(machine, 0x4000 + ((CODE >> 12) % 512) * 8, 0x10_0000 + FULL);
  store64(machine, 0x4000 + ((LIST >> 12) % 512) * 8, 0x11_0000 + FULL);
  store64(machine, 0x3000 + 511 * 8, TABLES + 7);
  store64(machine, 0x8000, TABLES + 4096 + 7);
  store64(machine, 0x8008, TABLES + 8192 + 7);
  for (let page = 0; page < PAGES; page++) store64(machine, entryOf(page), FRAMES + page * 4096 + FULL);
  writeBytes(machine, 0x10_0000, Uint8Array.from(READING));
  writeBytes(machine, 0x10_0000 + WRITING_AT, Uint8Array.from(WRITING));
  setPageTable(machine, 0, 0x1000);
  loadContext(machine, 0, newContext());
  return machine;
}

/** Runs a loop over the addresses; gives the faults, which it skips, and what was read. */
function access(machine: Machine, kind: 'read' | 'write', addresses: readonly number[]): unknown[] {
  addresses.forEach((address, i) => store64(machine, 0x11_0000 + i * 8, address));
  writeRegister(machine, 0, REGISTER.rip, CODE + (kind === 'read' ? 0 : WRITING_AT));
  writeRegister(machine, 0, REGISTER.rsi, LIST);
  writeRegister(machine, 0, REGISTER.rcx, addresses.length);
  const seen: unknown[] = [];
  for (let left = addresses.length * 5; left > 0;) {
    const trap = run(machine, 0, left);
    left -= trap.executed;
    if (trap.kind !== 'exception') break;
    const { vector, errorCode, address, executed } = trap;
    seen.push([vector, errorCode, address, executed]);
    writeRegister(machine, 0, REGISTER.rip, readRegister(machine, 0, REGISTER.rip) + ACCESS_LENGTH);
    left--;
  }
  return [...seen, readRegister(machine, 0, REGISTER.rdi), readRegister(machine, 0, REGISTER.rcx)];
}

const sizeOfLargest = ({ view }: Machine, at: number): number =>
  view.getUint32(contextOf(0) + at + EXTENT.size, true);

describe('extents', () => {
  it('reach over page tables where frames follow each other', () => {
    const machine = boot('compiler');
    for (let turn = 0; turn < 3; turn++) access(machine, 'read', SCATTERED);
    for (let turn = 0; turn < 3; turn++) access(machine, 'write', SCATTERED);
    expect(sizeOfLargest(machine, COMPILED.readLargest)).toBe(PAGES * 4096);
    expect(sizeOfLargest(machine, COMPILED.writeLargest)).toBe(PAGES * 4096);
    invalidatePage(machine, 0, DATA);
    expect(sizeOfLargest(machine, COMPILED.readLargest)).toBe(0);
  });

  it('end at a table that is read-only as a whole', () => {
    const machine = boot('compiler');
    store64(machine, 0x8000, TABLES + 4096 + 5);
    setPageTable(machine, 0, 0x1000);
    for (let turn = 0; turn < 3; turn++) access(machine, 'read', SCATTERED);
    for (let turn = 0; turn < 3; turn++) {
      const faults = access(machine, 'write', SCATTERED).slice(0, -2) as number[][];
      const inTable = SCATTERED.filter((at) => at >= DATA + 512 * 4096 && at < DATA + 1024 * 4096);
      expect(faults.map(([vector, errorCode, at]) => [vector, errorCode, at])).toEqual(inTable.map((at) => [14, 7, at]));
    }
    expect(sizeOfLargest(machine, COMPILED.readLargest)).toBe(PAGES * 4096);
    expect(sizeOfLargest(machine, COMPILED.writeLargest)).toBe(0);
  }); // prettier-ignore

  it.each([1, 2, 3, 4, 5, 6])('never change what a program sees, seed %i', (seed) => {
    const seen = (['interpreter', 'compiler'] as const).map((tier) => {
      const machine = boot(tier);
      const from = chance(seed);
      const log: unknown[] = [];
      for (let turn = 0; turn < 60; turn++) {
        for (let change = below(from, 8); change > 0; change--) changeEntry(machine, from);
        const start = below(from, PAGES * 4096);
        const reach = 1 << (10 + below(from, 14));
        const addresses = Array.from({ length: LIST_LENGTH }, () => DATA + ((start + below(from, reach)) % (PAGES * 4096))); // prettier-ignore
        log.push(access(machine, oneIn(from, 2) ? 'read' : 'write', addresses));
      }
      const tables = readBytes(machine, TABLES, PAGES * 8);
      const ram = [FRAMES, OTHER_FRAMES].map((at) => readBytes(machine, at, PAGES * 4096));
      return { log, tables: hashOf(tables), ram: ram.map(hashOf) };
    });
    expect(seen[1]).toEqual(seen[0]);
  });
});

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Unless more is allowed, the TLB is told. */
function changeEntry(machine: Machine, from: Chance): void {
  const page = below(from, PAGES);
  const at = entryOf(page);
  const old = load64(machine, at);
  const own = FRAMES + page * 4096;
  const kinds = [0, own + FULL - PTE.write, own + FULL - PTE.dirty, own + FULL - PTE.user, OTHER_FRAMES + page * 4096 + FULL, own + PTE.present + PTE.user + PTE.write]; // prettier-ignore
  const entry = oneIn(from, 2) ? own + FULL : (kinds[below(from, kinds.length)] ?? 0);
  store64(machine, at, entry);
  const isMore = old === 0 || old === entry || (old === own + FULL - PTE.write && entry === own + FULL);
  if (!isMore) invalidatePage(machine, 0, DATA + page * 4096);
}
