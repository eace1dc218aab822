// The compiler tier as a part of a machine: samples of where the interpreter is find the hot blocks, which are compiled, one
// module a region; regions are forgotten when one of their pages changes. Nothing here is state: what is compiled, and
// when, never changes a run.

import type { CodeCache } from '../decode/code-cache.ts';
import { variantKey } from '../decode/variant.ts';
import type { Linker } from '../exec/handlers.ts';
import { FIRST_ENTRY } from '../exec/signatures.ts';
import { finishHandlers, instantiate, requestHandler } from '../exec/handlers.ts';
import * as layout from '../layout.ts';
import { CODE_DROPPED, COMPILED, CONTEXT, ENTRY, HEAD_FLAG, RECORD, SLOT } from '../layout.ts';
import type { Services } from './work.ts';
import { compileRegion } from './function.ts';
import type { GuestData, Instruction, PageFinder, Region, RegionPage } from './region.ts';
import { discoverRegion, hostOfFrame } from './region.ts';

const { CASE_BASE, CASE_BYTES, CASE_TABLES, CODE_INDEX_BYTES, CPU_BASE, CPU_STRIDE, ENTRIES, ENTRY_BASE, ENTRY_BYTES, ENTRY_HANDLER, EXTENT_BYTES, LOG_ENTRIES, PAGE_BYTES, READ_SLOTS, RECORD_BYTES, TLB_ENTRIES, WRITE_SLOTS } = layout; // prettier-ignore

/** Regions at most: code and metadata of one are some 50 KB of host memory. Beyond, all are forgotten. */
const REGIONS_MAX = 6000;

export interface CompilerSettings {
  readonly enabled: boolean;
  /** How much a block must have executed, about as many times, before it is compiled; 1: as soon as it is met. */
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

interface CompiledCode {
  /** Code slots that it was made from. */
  readonly slots: readonly number[];
  /** Its entry cells, unless a later region has taken them over. */
  readonly entries: readonly number[];
  /** Tables for computed jumps. */
  readonly tables: readonly number[];
  /** Code slot and offset where it was begun. */
  readonly slot: number;
  readonly offset: number;
  /** How often it was made anew, larger. */
  readonly growth: number;
}

/** A place to which a region goes by a branch, as seen from the region's page. */
interface Exit {
  readonly region: number;
  readonly at: number;
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
  /** Compiled regions by their numbers. */
  readonly regions: Map<number, CompiledCode>;
  /** Regions that depend on a code slot, by the slot's address. */
  readonly dependants: Map<number, Set<number>>;
  /** The region to which an entry cell leads. */
  readonly owners: Map<number, number>;
  /** Branches out of regions, by the code slot's address and offset of their targets. */
  readonly exits: Map<number, Exit>;
  /** Free tables for computed jumps. */
  readonly freeTables: number[];
  /** How often code was met, by its place. */
  readonly samples: Map<number, number>;
  /** Code whose numbers are often not what compiled code takes for granted, by its place. */
  readonly unusual: Set<number>;
  wrongGuesses: number;
  /** Instructions until such failures are counted from 0 again. */
  guessesLeft: number;
  jitter: number;
  nextReadSlot: number;
  nextWriteSlot: number;
  notCompiled: WebAssembly.WasmFunction | undefined;
}

const THRESHOLD = 1000;
/** Cells that a region may need: one for every block. */
const ENTRIES_OF_REGION = 512;
/** A region is made anew so often at most. */
const GROWTH_MAX = 4;
/** Branches out of regions that are remembered. */
const EXITS_MAX = 100_000;
/** A region whose floating point is not as expected more often than this in a period is compiled anew and tests by itself. */
const WRONG_GUESSES = 256;
const GUESS_PERIOD = 1_000_000;
/** Places of which samples are counted. */
export const SAMPLES_MAX = 10_000;

export function newCompiler(cache: CodeCache, linker: Linker): Compiler {
  return {
    cache,
    linker,
    settings: { enabled: true, threshold: THRESHOLD },
    statistics: { regions: 0, instructions: 0, bytes: 0, milliseconds: 0, dropped: 0, executed: 0 },
    freeEntries: Array.from({ length: ENTRIES }, (_unused, i) => ENTRIES - 1 - i),
    entries: new Map(),
    regions: new Map(),
    dependants: new Map(),
    owners: new Map(),
    exits: new Map(),
    freeTables: Array.from({ length: CASE_TABLES }, (_unused, i) => CASE_BASE + i * CASE_BYTES),
    samples: new Map(),
    unusual: new Set(),
    wrongGuesses: 0,
    guessesLeft: GUESS_PERIOD,
    jitter: 1,
    nextReadSlot: 0,
    nextWriteSlot: 0,
    notCompiled: undefined,
  };
}

const cellAt = (entry: number): number => ENTRY_BASE + entry * ENTRY_BYTES;

/** Notes that control comes to a record from elsewhere than straight ahead. */
export function markHead(compiler: Compiler, record: number): void {
  const { bytes } = compiler.cache;
  bytes[record + RECORD.scale] = (bytes[record + RECORD.scale] ?? 0) | HEAD_FLAG;
}

/** The records of a code slot are being forgotten: so are its cells, and the regions that were made from its page. */
export function forgetEntries(compiler: Compiler, slot: number): void {
  for (const region of compiler.dependants.get(slot) ?? []) dropRegion(compiler, region);
  compiler.dependants.delete(slot);
  compiler.freeEntries.push(...(compiler.entries.get(slot) ?? []));
  compiler.entries.delete(slot);
}

function dropRegion(compiler: Compiler, number: number): void {
  const { words16, words32 } = compiler.cache;
  const region = compiler.regions.get(number);
  if (region === undefined) return;
  compiler.regions.delete(number);
  for (const slot of region.slots) compiler.dependants.get(slot)?.delete(number);
  for (const entry of region.entries) {
    if (compiler.owners.get(entry) !== number) continue;
    compiler.owners.delete(entry);
    const record = words32[(cellAt(entry) + ENTRY.record) >> 2] ?? 0;
    words16[record >> 1] = words16[(cellAt(entry) + ENTRY.handler) >> 1] ?? 0;
    if (compiler.notCompiled !== undefined) compiler.linker.table.set(FIRST_ENTRY + entry, compiler.notCompiled);
  }
  compiler.freeTables.push(...region.tables);
  dropJumps(compiler);
  compiler.statistics.dropped++;
  words32[CODE_DROPPED >> 2] = ((words32[CODE_DROPPED >> 2] ?? 0) + 1) | 0;
} // prettier-ignore

export function dropAllRegions(compiler: Compiler): void {
  for (const number of [...compiler.regions.keys()]) dropRegion(compiler, number);
  for (const entries of compiler.entries.values()) compiler.freeEntries.push(...entries);
  compiler.entries.clear();
  compiler.exits.clear();
  compiler.samples.clear();
}

/** What jump caches hold does not count any more, on all CPUs. */
function dropJumps(compiler: Compiler): void {
  for (let cpu = 0; cpu < compiler.cache.cpuCount; cpu++) clearJumps(compiler.cache.words32, cpu);
}

/** The same on one CPU: after a change of translations of code. */
export function clearJumps(words32: Int32Array, cpu: number): void {
  const at = (CPU_BASE + cpu * CPU_STRIDE + COMPILED.generation) >> 2;
  words32[at] = ((words32[at] ?? 0) + 1) | 0;
}

/** Empties a CPU's extents: after any change of its translations. */
export function clearExtents(bytes: Uint8Array, words32: Int32Array, cpu: number): void {
  const context = CPU_BASE + cpu * CPU_STRIDE;
  const filled = words32[(context + COMPILED.filled) >> 2] ?? 0;
  if (filled === 0) return;
  words32[(context + COMPILED.filled) >> 2] = 0;
  words32[(context + COMPILED.walks) >> 2] = 0;
  if (filled > LOG_ENTRIES) {
    bytes.fill(0, context + COMPILED.slots, context + COMPILED.end);
    return;
  }
  const log = (context + COMPILED.log) >> 2;
  for (let i = 0; i < filled; i++) {
    // Limits and size: with 0 nothing is inside
    const at = ((words32[log + i] ?? 0) + 8) >> 2;
    words32[at] = 0;
    words32[at + 1] = 0;
    words32[at + 2] = 0;
    words32[at + 3] = 0;
    words32[at + 4] = 0;
  }
}

function pageFinder(compiler: Compiler, context: number, page: bigint): PageFinder {
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

/** What the CPU has in its read TLB. */
function guestData(compiler: Compiler, context: number, base: bigint): GuestData {
  const view = new DataView(compiler.cache.bytes.buffer);
  return {
    base,
    hostOf(address) {
      const entry = context + CONTEXT.tlbRead + Number((address >> 12n) & BigInt(TLB_ENTRIES - 1)) * 16;
      if (view.getBigInt64(entry, true) !== BigInt.asIntN(64, address & -4096n)) return 0;
      return (view.getUint32(entry + 8, true) + Number(BigInt.asUintN(32, address))) >>> 0;
    },
  };
}

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

function servicesFor(
  compiler: Compiler,
  tables: number[],
  guess: Pick<Services, 'region' | 'mayGuess'>,
): Services {
  const { bytes } = compiler.cache;
  const slots = new Map<string, number>();
  return {
    ...guess,
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
  };
}

type CodePage = Omit<RegionPage, 'bit'>;

export interface Place {
  readonly page: CodePage;
  readonly record: number;
  readonly find: PageFinder;
}

/** The record at an address, if the CPU has the page in its execute TLB and the instruction was decoded. */
export function placeAt(compiler: Compiler, context: number, address: bigint): Place | undefined {
  const find = pageFinder(compiler, context, address & -4096n);
  const page = find(0);
  const number = page === undefined ? 0 : (compiler.cache.words16[(page.slot >> 1) + Number(address & 4095n)] ?? 0);
  if (page === undefined || number === 0) return undefined;
  return { page, record: page.slot + CODE_INDEX_BYTES + number * RECORD_BYTES, find };
} // prettier-ignore

/** An instruction, not one of the loop's own handlers, where no compiled code begins. */
export function isFresh(compiler: Compiler, record: number): boolean {
  const handler = compiler.cache.words16[record >> 1] ?? 0;
  return handler < ENTRY_HANDLER && handler !== 0 && handler !== 2 && handler !== 3;
}

/** The entry cell of a record; a new one if it has none. */
function cellOf(compiler: Compiler, record: number, slot: number, cold: number): number | undefined {
  const { words16, words32 } = compiler.cache;
  const handler = words16[record >> 1] ?? 0;
  if (handler >= ENTRY_HANDLER) return handler - ENTRY_HANDLER;
  const entry = compiler.freeEntries.pop();
  if (entry === undefined) return undefined;
  const cell = cellAt(entry);
  words16[(cell + ENTRY.handler) >> 1] = handler;
  words16[(cell + ENTRY.cold) >> 1] = cold;
  words32[(cell + ENTRY.record) >> 2] = record;
  words16[record >> 1] = ENTRY_HANDLER + entry;
  const known = compiler.entries.get(slot);
  if (known === undefined) compiler.entries.set(slot, [entry]);
  else known.push(entry);
  return entry;
}

/** The region from which a branch leads to the place, begun anew where it was begun, if that includes the place now. */
function grown(compiler: Compiler, context: number, address: bigint, { page }: Place): { region: Region; page: CodePage; old: number; growth: number } | undefined {
  const exit = compiler.exits.get(page.slot + Number(address & 4095n));
  const old = exit === undefined ? undefined : compiler.regions.get(exit.region);
  if (exit === undefined || old === undefined || old.growth >= GROWTH_MAX) return undefined;
  const base = BigInt.asIntN(64, address - BigInt(exit.at));
  const start = placeAt(compiler, context, base + BigInt(old.offset));
  if (start?.page.slot !== old.slot) return undefined;
  const region = discoverRegion(compiler.cache, old.offset, start.find, guestData(compiler, context, base));
  return region?.blocks.has(exit.at) === true ? { region, page: start.page, old: exit.region, growth: old.growth + 1 } : undefined;
} // prettier-ignore

/** After a slice: a region whose guesses fail often is forgotten, and compiled anew without them. */
export function countGuesses(compiler: Compiler, context: number, executed: number): void {
  const { words32 } = compiler.cache;
  const at = (context + COMPILED.wrongGuesses) >> 2;
  compiler.wrongGuesses += words32[at] ?? 0;
  words32[at] = 0;
  compiler.guessesLeft -= executed;
  if (compiler.wrongGuesses > WRONG_GUESSES) {
    const number = words32[(context + COMPILED.wrongGuess) >> 2] ?? 0;
    const region = compiler.regions.get(number);
    if (compiler.unusual.size > SAMPLES_MAX) compiler.unusual.clear();
    if (region !== undefined) compiler.unusual.add(region.slot + region.offset);
    dropRegion(compiler, number);
    compiler.wrongGuesses = 0;
  }
  if (compiler.guessesLeft > 0) return;
  compiler.wrongGuesses = 0;
  compiler.guessesLeft = GUESS_PERIOD;
}

/** Compiles what begins at the place, and makes it known. */
export function compileAt(compiler: Compiler, context: number, address: bigint, place: Place): void {
  const { cache, linker, settings, statistics } = compiler;
  const { words16, words32 } = cache;
  if (compiler.regions.size >= REGIONS_MAX || compiler.freeEntries.length < ENTRIES_OF_REGION) dropAllRegions(compiler);
  const began = settings.now?.() ?? 0;
  const larger = grown(compiler, context, address, place);
  const page = larger?.page ?? place.page;
  const region = larger?.region ?? discoverRegion(cache, Number(address & 4095n), place.find, guestData(compiler, context, address & -4096n));
  if (region === undefined) return;
  const number = statistics.regions++;
  const name = `r${number}`;
  const tables: number[] = [];
  const mayGuess = !compiler.unusual.has(page.slot + region.entry);
  const { code, entries, exits } = compileRegion(region, name, servicesFor(compiler, tables, { region: number, mayGuess }));
  const pages = new Map<number, CodePage>([[0, page], ...region.pages]);
  const cells: number[] = [];
  const made: [cell: number, number: number, delta: number][] = [];
  entries.forEach((at, i) => {
    const delta = Math.floor(at / PAGE_BYTES) * PAGE_BYTES;
    const on = pages.get(delta);
    const first = region.blocks.get(at)?.instructions[0];
    const index = on === undefined ? 0 : (words16[(on.slot >> 1) + at - delta] ?? 0);
    if (on === undefined || first === undefined || index === 0) return;
    const record = on.slot + CODE_INDEX_BYTES + index * RECORD_BYTES;
    // Code that crosses a page begins with a check of the next one
    if (!isFresh(compiler, record) && (words16[record >> 1] ?? 0) < ENTRY_HANDLER) return;
    const cell = cellOf(compiler, record, on.slot, handlerFor(compiler, first));
    if (cell !== undefined) made.push([cell, i, delta]);
  });
  finishHandlers(linker);
  const { exports, length } = instantiate(linker, [code], true);
  const compiled = exports[name];
  if (compiled === undefined) throw new Error('invariant broken: the region is exported');
  for (const [cell, i, delta] of made) {
    words32[(cellAt(cell) + ENTRY.number) >> 2] = i;
    words32[(cellAt(cell) + ENTRY.delta) >> 2] = delta;
    linker.table.set(FIRST_ENTRY + cell, compiled);
    compiler.owners.set(cell, number);
    cells.push(cell);
  }
  dropJumps(compiler);
  const slots = [...new Set([...pages.values()].map(({ slot }) => slot))];
  compiler.regions.set(number, { slots, entries: cells, tables, slot: page.slot, offset: region.entry, growth: larger?.growth ?? 0 });
  if (larger !== undefined) dropRegion(compiler, larger.old);
  for (const at of exits) {
    const on = pages.get(Math.floor(at / PAGE_BYTES) * PAGE_BYTES);
    if (on !== undefined) compiler.exits.set(on.slot + at - on.delta, { region: number, at });
  }
  if (compiler.exits.size > EXITS_MAX) compiler.exits.clear();
  for (const slot of slots) {
    const known = compiler.dependants.get(slot);
    if (known === undefined) compiler.dependants.set(slot, new Set([number]));
    else known.add(number);
  }
  statistics.instructions += region.instructionCount;
  statistics.bytes += length;
  statistics.milliseconds += (settings.now?.() ?? 0) - began;
} // prettier-ignore
