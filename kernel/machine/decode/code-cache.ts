// Predecoded code. A physical page that executes gets a slot: an index from page offset to record number, and records
// in the order in which they were decoded, so that straight-line code is consecutive. A slot lives as long as its page's
// bytes: a write to the page drops it (from the guest through the MMU's slow path, from the kernel through memory.ts).
//
// Dropping turns every record of the slot into "look up again", so that the loop may stand in it; a slot is filled anew
// only from TypeScript, when no CPU is inside the loop. While a frame has a slot, no CPU has it in its write TLB.

import type { FormEntry, OpcodeMap } from './opcode-map.ts';
import type { Decoded } from './decode.ts';
import { decode, newDecoded } from './decode.ts';
import type { Variant } from '../exec/emit.ts';
import { HANDLER } from '../exec/core.ts';
import type { Linker } from '../exec/handlers.ts';
import { finishHandlers, requestHandler } from '../exec/handlers.ts';
import { fusedKey, variantKey, variantOf } from './variant.ts';
import * as layout from '../layout.ts';
import { CONTEXT, RECORD, SLOT } from '../layout.ts';

const { CODE_BASE, CODE_INDEX_BYTES, CODE_RECORDS, CODE_SLOT_BYTES, CODE_SLOTS, FRAME_CODE_BASE, PAGE_BYTES, RAM_BASE, RECORD_BYTES, TLB_ENTRIES } = layout; // prettier-ignore
/** A run ends here at the latest; the rest is decoded when it is reached. */
const RUN_INSTRUCTIONS = 24;

export interface CodeCache {
  readonly map: OpcodeMap;
  readonly linker: Linker;
  readonly bytes: Uint8Array;
  readonly words16: Uint16Array;
  readonly words32: Int32Array;
  readonly cpuCount: number;
  /** Handler numbers of the run loop, by variant key. */
  readonly hot: ReadonlyMap<number, number>;
  /** The same for comparisons fused with the branch behind them, by fusedKey. */
  readonly fused: ReadonlyMap<number, number>;
  readonly cold: Map<number, number>; // function table indices, by variant key
  readonly faults: { readonly undefinedOpcode: number; readonly tooLong: number }; // handlers in the function table
  readonly decoded: Decoded;
  /** Records of branches in a slot whose target has no record yet, by target offset. */
  readonly openLinks: Map<number, Map<number, number[]>>;
  nextSlot: number;
  generation: number;
  /** What the compiler tier wants to know: where control enters, and what is forgotten. */
  readonly onBlockHead: (record: number) => void;
  readonly onForget: (slot: number) => void;
  readonly onWriteProtect: () => void;
}

/** Gives the variant's key. */
function setHandler(cache: CodeCache, record: number, entry: FormEntry): number {
  const variant = variantOf(cache.decoded, entry);
  const exact = variantKey(entry, variant);
  const hot = cache.hot.get(exact);
  if (hot !== undefined) {
    cache.words16[record >> 1] = hot;
    return exact;
  }
  // Functions tell base from index addressing only where it saves something: in the loop
  const general: Variant = variant.addressing === 'base' ? { ...variant, addressing: 'index' } : variant;
  const key = variantKey(entry, general);
  let index = cache.cold.get(key);
  if (index === undefined) {
    index = requestHandler(cache.linker, entry, general);
    cache.cold.set(key, index);
  }
  cache.words16[record >> 1] = HANDLER.cold;
  cache.words16[(record + RECORD.cold) >> 1] = index;
  return exact;
}

function fillRecord(cache: CodeCache, record: number, offset: number): void {
  const { words16, words32, bytes, decoded } = cache;
  const entry = decoded.entry;
  words16[(record + RECORD.offset) >> 1] = offset;
  bytes[record + RECORD.length] = decoded.length;
  bytes[record + RECORD.scale] = decoded.scale;
  words16[(record + RECORD.reg) >> 1] = decoded.reg;
  words16[(record + RECORD.rm) >> 1] = decoded.rm;
  words16[(record + RECORD.base) >> 1] = decoded.base;
  words16[(record + RECORD.index) >> 1] = decoded.index;
  words32[(record + RECORD.segment) >> 2] = decoded.segment | (decoded.vvvv << 24);
  bytes[record + RECORD.address32] = decoded.address32 ? 1 : 0;
  let displacement = decoded.displacement;
  if (decoded.ripRelative) {
    displacement += offset + decoded.length;
    if (displacement > 0x7fff_ffff) {
      // Out of the field's range: the rest comes through the index, and every addressing but 'base' adds it
      displacement -= 8192;
      words16[(record + RECORD.index) >> 1] = CONTEXT.page2;
      if (decoded.addressing === 'base') decoded.addressing = 'index';
    }
  }
  words32[(record + RECORD.displacement) >> 2] = displacement;
  words32[(record + RECORD.immediate) >> 2] = decoded.immediateLow;
  words32[(record + RECORD.immediate + 4) >> 2] = decoded.immediateHigh;
  if (entry !== undefined && entry.can.relative) {
    const target = offset + decoded.length + decoded.relative;
    words32[(record + RECORD.immediate) >> 2] = target;
    words32[(record + RECORD.immediate + 4) >> 2] = Math.floor(target / 2 ** 32);
    words32[(record + RECORD.link) >> 2] = 0;
  }
}

function slotBase(slot: number): number {
  return CODE_BASE + (slot - 1) * CODE_SLOT_BYTES;
}

function link(cache: CodeCache, slot: number, record: number): void {
  const base = slotBase(slot);
  const target = cache.words32[(record + RECORD.immediate) >> 2] ?? 0;
  if (target < 0 || target >= PAGE_BYTES) return;
  const number = cache.words16[(base >> 1) + target] ?? 0;
  if (number !== 0) {
    const to = base + CODE_INDEX_BYTES + number * RECORD_BYTES;
    cache.words32[(record + RECORD.link) >> 2] = to;
    if (to <= record) cache.onBlockHead(to); // a loop
    return;
  }
  let open = cache.openLinks.get(slot);
  if (open === undefined) {
    open = new Map();
    cache.openLinks.set(slot, open);
  }
  const waiting = open.get(target);
  if (waiting === undefined) open.set(target, [record]);
  else waiting.push(record);
}

/**
 * Decodes from `offset` of the slot's page until a branch that never falls through, known code, or the page's end.
 * `tail` continues the page for one instruction that crosses into the next: bytes there, and that page's generation.
 */
export function decodeRun(
  cache: CodeCache,
  slot: number,
  offset: number,
  tail: { bytes: Uint8Array; generation: number } | undefined,
): 'ok' | 'crosses' {
  // prettier-ignore
  const { words16, words32, bytes, decoded } = cache;
  const base = slotBase(slot);
  const header = base + CODE_INDEX_BYTES;
  const frame = words32[(header + SLOT.frame) >> 2] ?? 0;
  const page = RAM_BASE + frame * PAGE_BYTES;
  let used = words32[(header + SLOT.used) >> 2] ?? 1;
  if (used + RUN_INSTRUCTIONS + 4 > CODE_RECORDS) {
    forgetRecords(cache, slot);
    used = 1;
  }
  let at = offset;
  let previousRecord = 0;
  let previousKey = 0;
  let firstRecord = 0;
  for (let count = 0; ; count++) {
    const record = header + used * RECORD_BYTES;
    const known = at < PAGE_BYTES ? (words16[(base >> 1) + at] ?? 0) : 0;
    if (at >= PAGE_BYTES || (known !== 0 && count > 0) || count === RUN_INSTRUCTIONS) {
      words16[record >> 1] = HANDLER.goto;
      words16[(record + RECORD.offset) >> 1] = at;
      words32[(record + RECORD.immediate) >> 2] = at;
      words32[(record + RECORD.link) >> 2] = 0;
      link(cache, slot, record);
      used++;
      break;
    }
    let body = record;
    let status = decode(cache.map, bytes, page + at, page + PAGE_BYTES, decoded);
    if (status === 'truncated') {
      if (count > 0) {
        // Reached by a look-up, it becomes the first of a run, and gets its tail
        words16[record >> 1] = HANDLER.goto;
        words16[(record + RECORD.offset) >> 1] = at;
        words32[(record + RECORD.immediate) >> 2] = at;
        words32[(record + RECORD.link) >> 2] = 0;
        link(cache, slot, record);
        used++;
        break;
      }
      if (tail === undefined) return 'crosses';
      // The record proper follows one that checks that the next page is still the same
      words16[record >> 1] = HANDLER.cross;
      words16[(record + RECORD.offset) >> 1] = at;
      words32[(record + RECORD.immediate) >> 2] = tail.generation;
      const joined = new Uint8Array(32);
      joined.set(bytes.subarray(page + at, page + PAGE_BYTES));
      joined.set(tail.bytes, PAGE_BYTES - at);
      status = decode(cache.map, joined, 0, 32, decoded);
      used++;
      body = header + used * RECORD_BYTES;
      if (known !== 0) words16[(header + known * RECORD_BYTES) >> 1] = HANDLER.lookup;
    }
    words16[(base >> 1) + at] = body === record ? used : used - 1;
    if (firstRecord === 0) firstRecord = record;
    used++;
    const waiting = cache.openLinks.get(slot)?.get(at);
    if (waiting !== undefined) {
      for (const branch of waiting) words32[(branch + RECORD.link) >> 2] = record;
      cache.openLinks.get(slot)?.delete(at);
    }
    const entry = decoded.entry;
    if (status !== 'ok' || entry === undefined) {
      if (entry === undefined) decoded.length = Math.max(decoded.length, 1);
      fillRecord(cache, body, at);
      words16[body >> 1] = HANDLER.cold;
      words16[(body + RECORD.cold) >> 1] =
        status === 'too long' ? cache.faults.tooLong : cache.faults.undefinedOpcode;
      break;
    }
    fillRecord(cache, body, at);
    const key = setHandler(cache, body, entry);
    if (entry.can.branchOn !== undefined && previousRecord === body - RECORD_BYTES) {
      const fused = cache.fused.get(fusedKey(previousKey, entry.can.branchOn));
      if (fused !== undefined) words16[previousRecord >> 1] = fused;
    }
    previousRecord = body;
    previousKey = key;
    if (entry.can.relative) link(cache, slot, body);
    if (entry.can.neverFallsThrough) break;
    at += decoded.length;
  }
  words32[(header + SLOT.used) >> 2] = used;
  finishHandlers(cache.linker);
  if (firstRecord !== 0) cache.onBlockHead(firstRecord);
  return 'ok';
}

function forgetRecords(cache: CodeCache, slot: number): void {
  const base = slotBase(slot);
  cache.onForget(base);
  const header = base + CODE_INDEX_BYTES;
  const used = cache.words32[(header + SLOT.used) >> 2] ?? 1;
  for (let i = 1; i < used; i++) cache.words16[(header + i * RECORD_BYTES) >> 1] = HANDLER.lookup;
  cache.bytes.fill(0, base, base + CODE_INDEX_BYTES);
  cache.words32[(header + SLOT.used) >> 2] = 1;
  cache.openLinks.delete(slot);
}

/** Forgets the predecoded code of a frame; from now on it may be in write TLBs. */
export function dropCode(cache: CodeCache, frame: number): void {
  const slot = cache.words16[(FRAME_CODE_BASE >> 1) + frame] ?? 0;
  if (slot === 0) return;
  cache.words16[(FRAME_CODE_BASE >> 1) + frame] = 0;
  forgetRecords(cache, slot);
  const base = slotBase(slot);
  cache.words32[(base + CODE_INDEX_BYTES + SLOT.generation) >> 2] = 0;
  cache.words32[(base + CODE_INDEX_BYTES + SLOT.frame) >> 2] = -1;
  clearEntries(cache, CONTEXT.tlbExecute, base, () => base);
}

/** Empties the TLB entries of all CPUs that lead to `wanted`: an entry's addend, plus what `from` makes of its page. */
function clearEntries(
  cache: CodeCache,
  tlb: number,
  wanted: number,
  of: (addend: number, page: number) => number,
): void {
  // prettier-ignore
  const { words32 } = cache;
  for (let cpu = 0; cpu < cache.cpuCount; cpu++) {
    let at = (layout.CPU_BASE + cpu * layout.CPU_STRIDE + tlb) >> 2;
    for (let i = 0; i < TLB_ENTRIES; i++, at += 4) {
      const addend = words32[at + 2] ?? 0;
      if (tlb === CONTEXT.tlbExecute ? addend !== wanted : of(addend, words32[at] ?? 0) !== wanted) continue;
      words32[at] = -1;
      words32[at + 1] = -1;
      words32[at + 2] = 0;
    }
  }
}

/** Forgets everything; for tests, and when RAM was replaced. */
export function dropAllCode(cache: CodeCache): void {
  for (let slot = 1; slot <= CODE_SLOTS; slot++)
    if (generationOf(cache, slot) !== 0)
      dropCode(cache, cache.words32[(slotBase(slot) + CODE_INDEX_BYTES + SLOT.frame) >> 2] ?? 0);
}

/** Base of the slot of a frame that is to execute; makes one if there is none. */
export function slotOf(cache: CodeCache, frame: number): number {
  const known = cache.words16[(FRAME_CODE_BASE >> 1) + frame] ?? 0;
  if (known !== 0) return known;
  const slot = cache.nextSlot;
  cache.nextSlot = slot === CODE_SLOTS ? 1 : slot + 1;
  const header = slotBase(slot) + CODE_INDEX_BYTES;
  const previous = cache.words32[(header + SLOT.frame) >> 2] ?? -1;
  const inUse = (cache.words32[(header + SLOT.generation) >> 2] ?? 0) !== 0;
  if (inUse) dropCode(cache, previous);
  cache.words32[(header + SLOT.frame) >> 2] = frame;
  cache.words32[(header + SLOT.generation) >> 2] = ++cache.generation;
  cache.words32[(header + SLOT.used) >> 2] = 1;
  cache.words16[(FRAME_CODE_BASE >> 1) + frame] = slot;
  const host = RAM_BASE + frame * PAGE_BYTES;
  clearEntries(cache, CONTEXT.tlbWrite, host | 0, (addend, page) => (addend + page) | 0);
  cache.onWriteProtect();
  return slot;
}

export function slotAddress(slot: number): number {
  return slotBase(slot);
}

export function generationOf(cache: CodeCache, slot: number): number {
  return cache.words32[(slotBase(slot) + CODE_INDEX_BYTES + SLOT.generation) >> 2] ?? 0;
}

export function newCodeCache(
  parts: Omit<CodeCache, 'decoded' | 'openLinks' | 'nextSlot' | 'generation' | 'cold'>,
): CodeCache {
  // prettier-ignore
  return { ...parts, cold: new Map(), decoded: newDecoded(), openLinks: new Map(), nextSlot: 1, generation: 0 };
}
