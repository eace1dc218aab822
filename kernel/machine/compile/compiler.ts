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
import type { Services } from './function.ts';
import { compileRegion } from './function.ts';
import type { Instruction, RegionPage } from './region.ts';
import { discoverRegion, hostOfFrame, isHead } from './region.ts';

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
  /** How often code was met, by its place. */
  readonly samples: Map<number, number>;
  /** Code whose numbers are often not what compiled code takes for granted, by its place. */
  readonly unusual: Set<string>;
  wrongGuesses: number;
  /** Instructions until such failures are counted from 0 again. */
  guessesLeft: number;
  /** Instructions to interpret until the next sample. */
  sampleLeft: number;
  /** Instructions of the next slice at most. */
  sliceLimit: number;
  jitter: number;
  nextReadSlot: number;
  nextWriteSlot: number;
  notCompiled: WebAssembly.WasmFunction | undefined;
}

const THRESHOLD = 1000;
/** Instructions between samples at most, and at half of that at least. */
const PERIOD_MAX = 10_000;
const SLICE_MIN = 100;
/** V8 replaces a running function by its optimised code only between calls, so none lasts long. */
const SLICE_COMPILED = 300_000;
/** How often a place is met before a block of it is compiled: compiling costs as much as interpreting some hundred thousand instructions. */
const SAMPLES = 16;
/** Code is looked at in places of so many bytes, as a power of 2. */
const PLACE_SHIFT = 8;
/** A region whose floating point is not as expected more often than this in a period is compiled anew and tests by itself. */
const WRONG_GUESSES = 256;
const GUESS_PERIOD = 1_000_000;
/** Places of which samples are counted. */
const SAMPLES_MAX = 10_000;

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
    samples: new Map(),
    unusual: new Set(),
    wrongGuesses: 0,
    guessesLeft: GUESS_PERIOD,
    sampleLeft: 0,
    sliceLimit: SLICE_MIN,
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
  const record = words32[(cellAt(entry) + ENTRY.record) >> 2] ?? 0;
  words16[record >> 1] = words16[(cellAt(entry) + ENTRY.handler) >> 1] ?? 0;
  if (compiler.notCompiled !== undefined)
    compiler.linker.table.set(FIRST_ENTRY + entry, compiler.notCompiled);
  compiler.freeTables.push(...(compiler.tables.get(entry) ?? []));
  compiler.tables.delete(entry);
  compiler.statistics.dropped++;
  words32[CODE_DROPPED >> 2] = ((words32[CODE_DROPPED >> 2] ?? 0) + 1) | 0;
}

export function dropAllRegions(compiler: Compiler): void {
  for (const entry of [...compiler.regions.keys()]) dropRegion(compiler, entry);
  for (const entries of compiler.entries.values()) compiler.freeEntries.push(...entries);
  compiler.entries.clear();
  compiler.samples.clear();
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

function servicesFor(
  compiler: Compiler,
  pages: ReadonlyMap<number, RegionPage>,
  tables: number[],
  guess: Pick<Services, 'entry' | 'mayGuess'>,
): Services {
  const { words16, bytes } = compiler.cache;
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
    entryAt(at) {
      const page = pages.get(Math.floor(at / PAGE_BYTES) * PAGE_BYTES);
      if (page === undefined || page.delta !== 0) return undefined;
      const number = words16[(page.slot >> 1) + at - page.delta] ?? 0;
      if (number === 0) return undefined;
      const record = page.slot + CODE_INDEX_BYTES + number * RECORD_BYTES;
      const entry = (words16[record >> 1] ?? 0) - ENTRY_HANDLER;
      return entry < 0 ? undefined : FIRST_ENTRY + entry;
    },
  };
}

/** The head of the block that a record belongs to, as far as the run in which it was decoded goes back. */
function headOf(compiler: Compiler, record: number, first: number): number {
  const { bytes, words16 } = compiler.cache;
  const offsetOf = (of: number): number => words16[(of + RECORD.offset) >> 1] ?? 0;
  let at = record;
  while (!isHead(bytes, at)) {
    const before = at - RECORD_BYTES;
    const handler = words16[before >> 1] ?? 0;
    // The loop's own handlers (look up, cross, go on) are no instructions
    if (before < first || handler === 0 || handler === 2 || handler === 3) break;
    if (offsetOf(before) + (bytes[before + RECORD.length] ?? 0) !== offsetOf(at)) break;
    at = before;
  }
  return at;
}

/** How many instructions are interpreted between two samples; it varies, so as not to keep step with a loop. */
function samplePeriod(compiler: Compiler): number {
  const { threshold } = compiler.settings;
  compiler.jitter = (compiler.jitter * 1_103_515_245 + 12_345) % 2 ** 31;
  const period = Math.min(threshold * 16, PERIOD_MAX);
  return period + (compiler.jitter % period);
}

/** Where code is, as long as its slot belongs to the frame. */
const placeOf = (slot: number, offset: number): string => `${slot}+${offset}`;

function countGuesses(compiler: Compiler, context: number, executed: number): void {
  const { words16, words32 } = compiler.cache;
  const at = (context + COMPILED.wrongGuesses) >> 2;
  compiler.wrongGuesses += words32[at] ?? 0;
  words32[at] = 0;
  compiler.guessesLeft -= executed;
  if (compiler.wrongGuesses > WRONG_GUESSES) {
    const entry = words32[(context + COMPILED.wrongGuess) >> 2] ?? 0;
    const record = words32[(cellAt(entry) + ENTRY.record) >> 2] ?? 0;
    const [slot = 0] = compiler.regions.get(entry) ?? [];
    if (compiler.unusual.size > SAMPLES_MAX) compiler.unusual.clear();
    compiler.unusual.add(placeOf(slot, words16[(record + RECORD.offset) >> 1] ?? 0));
    dropRegion(compiler, entry);
    compiler.wrongGuesses = 0;
  }
  if (compiler.guessesLeft > 0) return;
  compiler.wrongGuesses = 0;
  compiler.guessesLeft = GUESS_PERIOD;
}

/** After a slice: takes a sample when it is time, and says how long the next slice may be. */
export function countInterpreted(
  compiler: Compiler,
  context: number,
  interpreted: number,
  all: number,
  isMet: boolean,
): void {
  compiler.sampleLeft -= interpreted;
  countGuesses(compiler, context, all);
  if (isMet && compiler.sampleLeft <= 0) {
    sampleAt(compiler, context);
    compiler.sampleLeft = samplePeriod(compiler);
  }
  // Where nearly all is compiled, the ends of slices would cost more than samples bring
  compiler.sliceLimit = interpreted * 16 < all ? SLICE_COMPILED : Math.max(compiler.sampleLeft, SLICE_MIN);
}

/**
 * The interpreter was met at RIP, after a period of work that no compiled code did. A block that is met again and again
 * is compiled. (Sampling costs the interpreter nothing; counts in records would.)
 */
export function sampleAt(compiler: Compiler, context: number): void {
  const { cache, settings, samples } = compiler;
  const { words16, bytes } = cache;
  const rip = new DataView(bytes.buffer).getBigInt64(context + CONTEXT.rip, true);
  const find = pageFinder(compiler, context, rip & -4096n);
  const here = find(0);
  if (!settings.enabled || here === undefined) return;
  const number = words16[(here.slot >> 1) + Number(rip & 4095n)] ?? 0;
  if (number === 0) return;
  const records = here.slot + CODE_INDEX_BYTES;
  const met = records + number * RECORD_BYTES;
  const head =
    (words16[met >> 1] ?? 0) >= ENTRY_HANDLER ? met : headOf(compiler, met, records + RECORD_BYTES);
  const handler = words16[head >> 1] ?? 0;
  if (handler >= ENTRY_HANDLER || handler === 0 || handler === 2 || handler === 3) return;
  // The blocks of a function count together: any of them may be what was met
  const place = here.slot + ((words16[(head + RECORD.offset) >> 1] ?? 0) >> PLACE_SHIFT);
  const count = (samples.get(place) ?? 0) + 1;
  samples.set(place, count);
  if (samples.size > SAMPLES_MAX) samples.clear();
  if (count < Math.min(settings.threshold, SAMPLES)) return;
  samples.delete(place);
  compileRecord(compiler, head, here, find);
}

function compileRecord(
  compiler: Compiler,
  record: number,
  here: RegionPage,
  find: (delta: number) => RegionPage | undefined,
): void {
  const { cache, linker, settings, statistics } = compiler;
  const { words16, words32 } = cache;
  if (compiler.regions.size >= REGIONS_MAX || compiler.freeEntries.length === 0) dropAllRegions(compiler);
  const began = settings.now?.() ?? 0;
  const offset = words16[(record + RECORD.offset) >> 1] ?? 0;
  const region = discoverRegion(cache, offset, find);
  const first = region?.blocks.get(offset)?.instructions[0];
  const entry = compiler.freeEntries.pop();
  if (region === undefined || first === undefined || entry === undefined) return;
  const name = `r${statistics.regions}`;
  const tables: number[] = [];
  const mayGuess = !compiler.unusual.has(placeOf(here.slot, offset));
  const services = servicesFor(compiler, region.pages, tables, { entry, mayGuess });
  const { code } = compileRegion(region, name, services);
  if (tables.length > 0) compiler.tables.set(entry, tables);
  const cold = handlerFor(compiler, first);
  finishHandlers(linker);
  const made = instantiate(linker, [code], true);
  const compiled = made.exports[name];
  if (compiled === undefined) throw new Error('invariant broken: the region is exported');
  linker.table.set(FIRST_ENTRY + entry, compiled);
  const cell = cellAt(entry);
  words16[(cell + ENTRY.handler) >> 1] = words16[record >> 1] ?? 0;
  words16[(cell + ENTRY.cold) >> 1] = cold;
  words32[(cell + ENTRY.record) >> 2] = record;
  words16[record >> 1] = ENTRY_HANDLER + entry;
  const add = (map: Map<number, number[]>, slot: number): void => {
    const known = map.get(slot);
    if (known === undefined) map.set(slot, [entry]);
    else known.push(entry);
  };
  add(compiler.entries, here.slot);
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
