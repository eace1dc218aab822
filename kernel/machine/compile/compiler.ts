// The compiler tier as a part of a machine: entry cells on the heads of blocks, which count executions; hot ones are
// compiled, one module a region; regions are forgotten when one of their pages changes. Nothing here is state: what is
// compiled, and when, never changes a run.

import type { CodeCache } from '../decode/code-cache.ts';
import { variantKey } from '../decode/variant.ts';
import type { Linker } from '../exec/handlers.ts';
import { FIRST_ENTRY } from '../exec/signatures.ts';
import { finishHandlers, instantiate, requestHandler } from '../exec/handlers.ts';
import * as layout from '../layout.ts';
import { CODE_DROPPED, COMPILED, CONTEXT, ENTRY, RECORD, SLOT } from '../layout.ts';
import type { Services } from './function.ts';
import { compileRegion } from './function.ts';
import type { Instruction, RegionPage } from './region.ts';
import { discoverRegion, hostOfFrame } from './region.ts';

const { CASE_BASE, CASE_BYTES, CASE_TABLES, CODE_INDEX_BYTES, CPU_BASE, CPU_STRIDE, ENTRIES, ENTRY_BASE, ENTRY_BYTES, ENTRY_HANDLER, EXTENT_BYTES, LOG_ENTRIES, PAGE_BYTES, READ_SLOTS, RECORD_BYTES, TLB_ENTRIES, WRITE_SLOTS } = layout; // prettier-ignore

/** Regions at most: code and metadata of one are some 50 KB of host memory. Beyond, all are forgotten. */
const REGIONS_MAX = 6000;

export interface CompilerSettings {
  readonly enabled: boolean;
  /** Executions of a block's head before it is compiled, at least 1. */
  readonly threshold: number;
  /** Milliseconds of the host, for the statistics. */
  readonly now?: () => number;
}

export interface CompilerStatistics {
  regions: number; // compiled since the machine was made
  instructions: number; // in them
  bytes: number; // of WebAssembly
  milliseconds: number; // for all that; 0 without a clock
  dropped: number; // regions forgotten since
  executed: number; // instructions executed in compiled code, on all CPUs; filled in when asked for
}

export interface Compiler {
  readonly cache: CodeCache;
  readonly linker: Linker;
  settings: CompilerSettings;
  readonly statistics: CompilerStatistics;
  /** Numbers of entry cells that may be given out. */
  readonly freeEntries: number[];
  /** Entry cells given to records of a code slot, by the slot's address. */
  readonly entries: Map<number, number[]>;
  /** Compiled entries that depend on a code slot, by the slot's address. */
  readonly dependants: Map<number, Set<number>>;
  /** Slots that a compiled entry depends on. */
  readonly regions: Map<number, readonly number[]>;
  /** Free tables for computed jumps, and those of compiled entries. */
  readonly freeTables: number[];
  readonly tables: Map<number, number[]>;
  nextReadSlot: number;
  nextWriteSlot: number;
  notCompiled: WebAssembly.WasmFunction | undefined;
}

export const THRESHOLD = 1000;

export function newCompiler(cache: CodeCache, linker: Linker): Compiler {
  return {
    cache,
    linker,
    settings: { enabled: true, threshold: THRESHOLD },
    statistics: { regions: 0, instructions: 0, bytes: 0, milliseconds: 0, dropped: 0, executed: 0 },
    freeEntries: Array.from({ length: ENTRIES }, (_unused, i) => ENTRIES - 1 - i),
    entries: new Map(),
    dependants: new Map(),
    regions: new Map(),
    freeTables: Array.from({ length: CASE_TABLES }, (_unused, i) => CASE_BASE + i * CASE_BYTES),
    tables: new Map(),
    nextReadSlot: 0,
    nextWriteSlot: 0,
    notCompiled: undefined,
  };
}

const cellAt = (entry: number): number => ENTRY_BASE + entry * ENTRY_BYTES;

/** Gives the record at the head of a block an entry cell, which counts its executions. */
export function markEntry(compiler: Compiler, record: number, slot: number): void {
  const { words16, words32 } = compiler.cache;
  const handler = words16[record >> 1] ?? 0;
  // The loop's own handlers (look up, cross, go on) are no instructions
  if (!compiler.settings.enabled || handler >= ENTRY_HANDLER || handler === 0 || handler === 2 || handler === 3) return; // prettier-ignore
  const entry = compiler.freeEntries.pop();
  if (entry === undefined) return;
  const cell = cellAt(entry);
  words32[(cell + ENTRY.left) >> 2] = compiler.settings.threshold;
  words16[(cell + ENTRY.handler) >> 1] = handler;
  words16[(cell + ENTRY.state) >> 1] = 0;
  words32[(cell + ENTRY.record) >> 2] = record;
  words32[(cell + ENTRY.slot) >> 2] = slot;
  words16[record >> 1] = ENTRY_HANDLER + entry;
  const entries = compiler.entries.get(slot);
  if (entries === undefined) compiler.entries.set(slot, [entry]);
  else entries.push(entry);
}

/** The record is not worth a region: it gets its handler back. The cell stays its own until the slot is forgotten. */
function unmarkEntry(compiler: Compiler, record: number, entry: number): void {
  const { words16 } = compiler.cache;
  words16[record >> 1] = words16[(cellAt(entry) + ENTRY.handler) >> 1] ?? 0;
}

/** The records of a code slot are being forgotten: so are its cells, and the regions that were made from its page. */
export function forgetEntries(compiler: Compiler, slot: number): void {
  for (const entry of compiler.dependants.get(slot) ?? []) dropRegion(compiler, entry);
  compiler.dependants.delete(slot);
  // No region calls a cell of another page, so nobody has their numbers now
  for (const entry of compiler.entries.get(slot) ?? []) compiler.freeEntries.push(entry);
  compiler.entries.delete(slot);
}

function dropRegion(compiler: Compiler, entry: number): void {
  const { words16, words32 } = compiler.cache;
  const slots = compiler.regions.get(entry);
  if (slots === undefined) return;
  compiler.regions.delete(entry);
  for (const slot of slots) compiler.dependants.get(slot)?.delete(entry);
  words16[(cellAt(entry) + ENTRY.state) >> 1] = 0;
  words32[(cellAt(entry) + ENTRY.left) >> 2] = compiler.settings.threshold;
  if (compiler.notCompiled !== undefined)
    compiler.linker.table.set(FIRST_ENTRY + entry, compiler.notCompiled);
  compiler.freeTables.push(...(compiler.tables.get(entry) ?? []));
  compiler.tables.delete(entry);
  compiler.statistics.dropped++;
  words32[CODE_DROPPED >> 2] = 1;
}

export function dropAllRegions(compiler: Compiler): void {
  for (const entry of [...compiler.regions.keys()]) dropRegion(compiler, entry);
}

/** Empties a CPU's extents: after any change of its translations. */
export function clearExtents(bytes: Uint8Array, words32: Int32Array, cpu: number): void {
  const context = CPU_BASE + cpu * CPU_STRIDE;
  const filled = words32[(context + COMPILED.filled) >> 2] ?? 0;
  if (filled === 0) return;
  words32[(context + COMPILED.filled) >> 2] = 0;
  if (filled > LOG_ENTRIES) {
    bytes.fill(0, context + COMPILED.slots, context + COMPILED.end);
    return;
  }
  const log = (context + COMPILED.log) >> 2;
  for (let i = 0; i < filled; i++) {
    // Limits, or the size: with 0 nothing is inside
    const at = ((words32[log + i] ?? 0) + 8) >> 2;
    words32[at] = 0;
    words32[at + 1] = 0;
    words32[at + 2] = 0;
    words32[at + 3] = 0;
  }
}

function pageFinder(compiler: Compiler, context: number, page: bigint): (delta: number) => RegionPage | undefined {
  const { bytes, words32 } = compiler.cache;
  const view = new DataView(bytes.buffer);
  return (delta) => {
    const address = BigInt.asIntN(64, page + BigInt(delta));
    const index = Number((address >> 12n) & BigInt(TLB_ENTRIES - 1));
    const entry = context + CONTEXT.tlbExecute + index * 16;
    if (view.getBigInt64(entry, true) !== address) return undefined;
    const slot = words32[(entry + 8) >> 2] ?? 0;
    const frame = words32[(slot + CODE_INDEX_BYTES + SLOT.frame) >> 2] ?? -1;
    return frame < 0 ? undefined : { delta, slot, host: hostOfFrame(frame) };
  };
} // prettier-ignore

/** Index in the function table of the interpreter's handler for an instruction. */
function handlerFor(compiler: Compiler, { entry, variant }: Instruction): number {
  const general = variant.addressing === 'base' ? { ...variant, addressing: 'index' as const } : variant;
  const key = variantKey(entry, general);
  let index = compiler.cache.cold.get(key);
  if (index === undefined) {
    index = requestHandler(compiler.linker, entry, general);
    compiler.cache.cold.set(key, index);
  }
  return index;
}

function servicesFor(compiler: Compiler, pages: ReadonlyMap<number, RegionPage>, tables: number[]): Services {
  const { words16, bytes } = compiler.cache;
  const slots = new Map<string, number>();
  return {
    slotFor(name, write) {
      const key = `${name}${write ? 'w' : ''}`;
      let slot = slots.get(key);
      if (slot !== undefined) return slot;
      // The stack's is shared: one extent serves all functions
      const stack = name === 'stack';
      const number = write
        ? READ_SLOTS + (stack ? 0 : 1 + (compiler.nextWriteSlot++ % (WRITE_SLOTS - 1)))
        : stack ? 0 : 1 + (compiler.nextReadSlot++ % (READ_SLOTS - 1)); // prettier-ignore
      slot = COMPILED.slots + number * EXTENT_BYTES;
      slots.set(key, slot);
      return slot;
    },
    caseTable(cases) {
      const first = Math.min(...cases);
      const length = Math.max(...cases) - first + 1;
      const address = length > CASE_BYTES || cases.length > 255 ? undefined : compiler.freeTables.pop();
      if (address === undefined) return undefined;
      tables.push(address);
      bytes.fill(0, address, address + CASE_BYTES);
      cases.forEach((at, i) => {
        bytes[address + at - first] = i + 1;
      });
      return { address, first, length };
    },
    handlerFor: (instruction) => handlerFor(compiler, instruction),
    entryAt(at) {
      const page = pages.get(Math.floor(at / PAGE_BYTES) * PAGE_BYTES);
      if (page === undefined || page.delta !== 0) return undefined;
      const number = words16[(page.slot >> 1) + at - page.delta] ?? 0;
      if (number === 0) return undefined;
      const record = page.slot + CODE_INDEX_BYTES + number * RECORD_BYTES;
      if ((words16[record >> 1] ?? 0) < ENTRY_HANDLER) markEntry(compiler, record, page.slot);
      const entry = (words16[record >> 1] ?? 0) - ENTRY_HANDLER;
      return entry < 0 ? undefined : FIRST_ENTRY + entry;
    },
  };
}

/** Compiles what begins at RIP, an entry whose count has run out. */
export function compileAt(compiler: Compiler, context: number): void {
  const { cache, linker, settings, statistics } = compiler;
  const { words16, words32, bytes } = cache;
  const rip = new DataView(bytes.buffer).getBigInt64(context + CONTEXT.rip, true);
  const page = rip & -4096n;
  const find = pageFinder(compiler, context, page);
  const here = find(0);
  if (here === undefined) return;
  const offset = Number(rip & 4095n);
  const number = words16[(here.slot >> 1) + offset] ?? 0;
  const record = here.slot + CODE_INDEX_BYTES + number * RECORD_BYTES;
  const entry = (words16[record >> 1] ?? 0) - ENTRY_HANDLER;
  if (number === 0 || entry < 0) return;
  words32[(cellAt(entry) + ENTRY.left) >> 2] = settings.threshold;
  if (!settings.enabled) return;
  if (compiler.regions.size >= REGIONS_MAX) dropAllRegions(compiler);
  const began = settings.now?.() ?? 0;
  const region = discoverRegion(cache, offset, find);
  if (region === undefined || (words16[(record + RECORD.offset) >> 1] ?? 0) !== offset)
    return unmarkEntry(compiler, record, entry);
  const name = `r${statistics.regions}`;
  const tables: number[] = [];
  const { code } = compileRegion(region, name, servicesFor(compiler, region.pages, tables));
  if (tables.length > 0) compiler.tables.set(entry, tables);
  finishHandlers(linker);
  const made = instantiate(linker, [code], true);
  const compiled = made.exports[name];
  if (compiled === undefined) throw new Error('invariant broken: the region is exported');
  linker.table.set(FIRST_ENTRY + entry, compiled);
  words16[(cellAt(entry) + ENTRY.state) >> 1] = 1;
  const slots = [...new Set([here.slot, ...[...region.pages.values()].map(({ slot }) => slot)])];
  compiler.regions.set(entry, slots);
  for (const slot of slots) {
    const known = compiler.dependants.get(slot);
    if (known === undefined) compiler.dependants.set(slot, new Set([entry]));
    else known.add(entry);
  }
  statistics.regions++;
  statistics.instructions += region.instructionCount;
  statistics.bytes += made.length;
  statistics.milliseconds += (settings.now?.() ?? 0) - began;
}
