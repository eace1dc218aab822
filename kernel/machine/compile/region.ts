// What is compiled together: from a hot entry the blocks that control reaches without leaving code that the interpreter
// has already met. Code that was never executed has no predecoded record, so it stays outside: the branch to it is an exit.
// Addresses are offsets from the page of the entry, so that a region serves any mapping of its pages.

import type { CodeCache } from '../decode/code-cache.ts';
import type { Decoded } from '../decode/decode.ts';
import { decode } from '../decode/decode.ts';
import type { FormEntry } from '../decode/opcode-map.ts';
import type { Variant } from '../exec/emit.ts';
import { variantOf } from '../decode/variant.ts';
import * as layout from '../layout.ts';
import { tierOf } from './tiers.ts';

const { CODE_INDEX_BYTES, PAGE_BYTES, RAM_BASE, RECORD_BYTES } = layout;

/** Instructions in a region at most: V8's optimiser is superlinear in them. */
const REGION_INSTRUCTIONS = 280;
/** A function that is called becomes part of the region if it is no longer than that. */
const CALLEE_INSTRUCTIONS = 60;
/** Pages that a region may touch: each must be looked at when it is entered. */
const PAGES_MAX = 6;
/** How far from its entry's page they may be, in bytes; function.ts puts distances into 21 bits. */
const PAGE_REACH = 2 ** 19;

/** An instruction as decoded, with where it is. */
export interface Instruction {
  readonly entry: FormEntry;
  readonly variant: Variant;
  readonly at: number; // offset from the entry's page
  readonly length: number;
  readonly decoded: Decoded;
  /** Predecoded record in memory, for instructions that the interpreter's handler executes. */
  readonly record: number;
}

export interface Block {
  readonly at: number;
  readonly instructions: Instruction[];
  /** Offsets of blocks of the region that it may go to. */
  readonly successors: number[];
  /** Where it goes on when its last instruction does not branch. */
  next: number | undefined;
  /** The function of the region that it calls at its end. */
  callee: number | undefined;
  /** Where a computed jump at its end was seen to go, or a return. */
  readonly cases: number[];
}

/** A page that the region was made from. */
export interface RegionPage {
  readonly delta: number; // in bytes, from the entry's page
  readonly bit: number; // its number in the region
  readonly slot: number;
  readonly host: number; // its bytes in memory
}

export interface Region {
  readonly entry: number;
  /** Where control may come in: `entry`, and the places behind calls that leave the region. */
  readonly entries: readonly number[];
  readonly blocks: ReadonlyMap<number, Block>;
  /** Linkage stubs that it calls (`jmp [rip+x]`, perhaps behind ENDBR64), by their places: their code is written at the call. */
  readonly stubs: ReadonlyMap<number, readonly Instruction[]>;
  readonly pages: ReadonlyMap<number, RegionPage>;
  readonly instructionCount: number;
}

/** Guest memory as the compiler may look at it: what the CPU has in its read TLB. Nothing depends on what it sees there. */
export interface GuestData {
  /** Virtual address of the entry's page. */
  readonly base: bigint;
  /** Address of the bytes in memory, or 0; valid up to the end of the page. */
  hostOf(address: bigint): number;
}

/** Code slot of the page at this distance from the entry's page if its translation is known to the CPU, or 0. */
export type PageFinder = (delta: number) => Omit<RegionPage, 'bit'> | undefined;

export type Flow = 'falls' | 'branch' | 'jump' | 'call' | 'computed' | 'leaves';

/** How control goes on behind an instruction. */
export function flowOf(instruction: Instruction): Flow {
  const { entry } = instruction;
  const { mnemonic } = entry.instruction;
  if (tierOf(entry.instruction) === 'leaves') return 'leaves';
  if (entry.can.relative) return mnemonic === 'call' ? 'call' : mnemonic === 'jmp' ? 'jump' : 'branch';
  if (mnemonic === 'call' || mnemonic === 'jmp' || mnemonic === 'ret') return 'computed';
  return entry.can.neverFallsThrough ? 'leaves' : 'falls';
}

export const targetOf = (instruction: Instruction): number =>
  instruction.at + instruction.length + instruction.decoded.relative;

/** A jump whose table is not found looks for its targets so far from itself. */
const CASE_REACH = 512;
/** Entries of a table at most. */
const TABLE_LENGTH = 512;
/** The instructions that read a table stand so far in front of the jump at most. */
const TABLE_TRAIL = 8;

/** `jmp rax`, `jmp [rax*8+table]`: a switch. Not `jmp [rip+x]`, which goes to another function. */
function isSwitch({ entry, decoded }: Instruction): boolean {
  if (entry.instruction.mnemonic !== 'jmp' || entry.can.relative) return false;
  return decoded.addressing === 'none' || decoded.index !== layout.CONTEXT.zero;
}

interface Discovery {
  readonly cache: CodeCache;
  readonly find: PageFinder;
  readonly data: GuestData;
  readonly pages: Map<number, RegionPage>;
  readonly joined: Uint8Array;
}

function pageAt(work: Discovery, at: number): RegionPage | undefined {
  const delta = Math.floor(at / PAGE_BYTES) * PAGE_BYTES;
  const known = work.pages.get(delta);
  if (known !== undefined) return known;
  if (Math.abs(delta) > PAGE_REACH || work.pages.size >= PAGES_MAX) return undefined;
  const found = work.find(delta);
  if (found === undefined) return undefined;
  const page = { ...found, bit: work.pages.size };
  work.pages.set(delta, page);
  return page;
}

/** Pages that were looked at last, and are not used after all. */
function forgetPages(work: Discovery, count: number): void {
  for (const delta of [...work.pages.keys()].slice(count)) work.pages.delete(delta);
}

/** The record at an offset, or 0 if the interpreter has not met it. */
function recordAt(work: Discovery, page: RegionPage, offset: number): number {
  const number = work.cache.words16[(page.slot >> 1) + offset] ?? 0;
  return number === 0 ? 0 : page.slot + CODE_INDEX_BYTES + number * RECORD_BYTES;
}

function isKnown(work: Discovery, at: number): boolean {
  const page = pageAt(work, at);
  return page !== undefined && recordAt(work, page, at - page.delta) !== 0;
}

function instructionAt(work: Discovery, at: number): Instruction | undefined {
  const page = pageAt(work, at);
  if (page === undefined) return undefined;
  const offset = at - page.delta;
  const record = recordAt(work, page, offset);
  if (record === 0) return undefined;
  const { map, bytes, decoded } = work.cache;
  let status = decode(map, bytes, page.host + offset, page.host + PAGE_BYTES, decoded);
  if (status === 'truncated') {
    const next = pageAt(work, page.delta + PAGE_BYTES);
    if (next === undefined) return undefined;
    work.joined.set(bytes.subarray(page.host + offset, page.host + PAGE_BYTES));
    work.joined.set(bytes.subarray(next.host, next.host + 16), PAGE_BYTES - offset);
    status = decode(map, work.joined, 0, 32, decoded);
  }
  const { entry } = decoded;
  if (status !== 'ok' || entry === undefined) return undefined;
  const crosses = offset + decoded.length > PAGE_BYTES;
  return {
    entry,
    variant: variantOf(decoded, entry),
    at,
    length: decoded.length,
    decoded: { ...decoded },
    record: crosses ? record + RECORD_BYTES : record,
  };
}

/** Is the record a block's head: has control been seen to come there from elsewhere than straight ahead? */
export const isHead = (bytes: Uint8Array, record: number): boolean =>
  ((bytes[record + layout.RECORD.scale] ?? 0) & layout.HEAD_FLAG) !== 0;

/** A table of jump targets: absolute addresses, or distances from the table. */
interface JumpTable {
  readonly at: bigint;
  readonly isRelative: boolean;
}

/**
 * Where compilers put it: `jmp [table+index*8]`, or `movsxd a, [b+index*4]; add a, b; jmp a` with `lea b, [rip+table]` anywhere
 * in the function.
 */
function tablesOf(work: Discovery, jump: Instruction, trail: readonly Instruction[], found: ReadonlyMap<number, Instruction>): JumpTable[] {
  const none = layout.CONTEXT.zero;
  if (jump.decoded.addressing !== 'none') {
    if (jump.decoded.base !== none || jump.decoded.scale !== 3) return [];
    return [{ at: BigInt(jump.decoded.displacement), isRelative: false }];
  }
  const isLoad = ({ entry, decoded }: Instruction): boolean =>
    entry.instruction.mnemonic === 'movsxd' && decoded.addressing !== 'none' && decoded.scale === 2 && decoded.base !== none;
  const load = trail.slice(-TABLE_TRAIL).reverse().find(isLoad);
  if (load === undefined) return [];
  const tables: JumpTable[] = [];
  for (const { entry, decoded, at, length } of found.values())
    if (entry.instruction.mnemonic === 'lea' && decoded.ripRelative && decoded.reg === load.decoded.base)
      tables.push({ at: work.data.base + BigInt(at + length + decoded.displacement), isRelative: true });
  return tables;
} // prettier-ignore

/** Blocks to which a table leads, as far as they were executed. */
function targetsIn(work: Discovery, { at, isRelative }: JumpTable): number[] {
  const { data } = work;
  const view = new DataView(work.cache.bytes.buffer);
  const size = isRelative ? 4n : 8n;
  const targets = new Set<number>();
  for (let i = 0n; i < TABLE_LENGTH; i++) {
    const address = at + i * size;
    const host = (address & 4095n) + size > 4096n ? 0 : data.hostOf(address);
    if (host === 0) break;
    const target = isRelative ? at + BigInt(view.getInt32(host, true)) : view.getBigInt64(host, true);
    const distance = Number(target - data.base);
    // What stands behind the table are no addresses of this function
    if (Math.abs(distance) > 1 << 20) break;
    if (isKnown(work, distance)) targets.add(distance);
  }
  return [...targets];
}

/** Heads of blocks around a computed jump that control has reached from elsewhere than straight ahead. */
function casesOf(work: Discovery, jump: number): number[] {
  const cases: number[] = [];
  const { bytes } = work.cache;
  const from = jump - CASE_REACH;
  for (const page of [pageAt(work, jump)]) {
    if (page === undefined) continue;
    const first = Math.max(from, page.delta);
    const last = Math.min(jump + CASE_REACH, page.delta + PAGE_BYTES - 1);
    for (let at = first; at <= last; at++) {
      const record = recordAt(work, page, at - page.delta);
      if (record !== 0 && isHead(bytes, record)) cases.push(at);
    }
  }
  return cases;
}

interface CallSite {
  readonly target: number;
  readonly back: number;
}

/** What was found so far. */
interface Heads {
  readonly heads: Set<number>;
  readonly found: Map<number, Instruction>;
  readonly cases: Map<number, number[]>;
  readonly calls: CallSite[];
}

const isCall = (instruction: Instruction): boolean => instruction.entry.instruction.mnemonic === 'call';

/** Follows control from `entry` within a function; false when there are more instructions than `limit`. */
function explore(work: Discovery, entry: number, into: Heads, limit: number): boolean {
  const { heads, found, cases, calls } = into;
  heads.add(entry);
  const queue = [entry];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    const trail: Instruction[] = [];
    for (let next = at; !found.has(next);) {
      if (found.size >= limit) return false;
      const instruction = instructionAt(work, next);
      if (instruction === undefined) break;
      found.set(next, instruction);
      trail.push(instruction);
      const flow = flowOf(instruction);
      const behind = next + instruction.length;
      if (flow === 'branch' || flow === 'jump') {
        const target = targetOf(instruction);
        if (isKnown(work, target)) {
          heads.add(target);
          queue.push(target);
        }
      }
      if (flow === 'branch' || isCall(instruction)) heads.add(behind);
      if (flow === 'call') calls.push({ target: targetOf(instruction), back: behind });
      if (isSwitch(instruction)) {
        const inTables = tablesOf(work, instruction, trail, found).flatMap((table) => targetsIn(work, table));
        const targets = inTables.length > 0 ? inTables : casesOf(work, next);
        cases.set(next, targets);
        for (const target of targets) {
          heads.add(target);
          queue.push(target);
        }
      }
      if (flow === 'jump' || flow === 'leaves' || (flow === 'computed' && !isCall(instruction))) break;
      next = behind;
    }
  }
  return true;
}

/** The function of the entry, then the small functions that it calls, and those that they call. */
function findHeads(work: Discovery, entry: number): Heads & { stubs: Map<number, Instruction[]> } {
  const all: Heads = { heads: new Set(), found: new Map(), cases: new Map(), calls: [] };
  const stubs = new Map<number, Instruction[]>();
  explore(work, entry, all, REGION_INSTRUCTIONS);
  for (let i = 0; i < all.calls.length; i++) {
    const target = all.calls[i]?.target ?? 0;
    if (all.found.has(target) || stubs.has(target)) continue;
    const before = work.pages.size;
    const stub = isKnown(work, target) ? stubAt(work, target) : undefined;
    if (stub !== undefined) {
      stubs.set(target, stub);
      continue;
    }
    if (!isKnown(work, target)) {
      forgetPages(work, before);
      continue;
    }
    const callee: Heads = { heads: new Set(), found: new Map(), cases: new Map(), calls: [] };
    const room = Math.min(CALLEE_INSTRUCTIONS, REGION_INSTRUCTIONS - all.found.size);
    if (!explore(work, target, callee, room)) {
      forgetPages(work, before);
      continue;
    }
    for (const head of callee.heads) all.heads.add(head);
    for (const [at, instruction] of callee.found) all.found.set(at, instruction);
    for (const [at, cases] of callee.cases) all.cases.set(at, cases);
    all.calls.push(...callee.calls);
  }
  return { ...all, stubs };
}

/** The instructions of a stub of the procedure linkage table. */
function stubAt(work: Discovery, at: number): Instruction[] | undefined {
  const first = instructionAt(work, at);
  if (first === undefined) return undefined;
  const isNop = first.entry.instruction.mnemonic === 'nop';
  const jump = isNop ? instructionAt(work, at + first.length) : first;
  if (jump?.entry.instruction.mnemonic !== 'jmp' || !jump.decoded.ripRelative) return undefined;
  return isNop ? [first, jump] : [jump];
}

/** Gives the returns of each function of the region the places that it was called from. */
function linkReturns(blocks: ReadonlyMap<number, Block>, calls: readonly CallSite[]): void {
  const sites = new Map<number, number[]>();
  for (const { target, back } of calls)
    if (blocks.has(target) && blocks.has(back)) sites.set(target, [...(sites.get(target) ?? []), back]);
  for (const [target, backs] of sites) {
    const seen = new Set<number>([target]);
    const queue = [target];
    for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
      const block = blocks.get(at);
      const last = block?.instructions.at(-1);
      if (block === undefined || last === undefined) continue;
      if (last.entry.instruction.mnemonic === 'ret') {
        for (const back of backs) {
          if (!block.cases.includes(back)) block.cases.push(back);
          if (!block.successors.includes(back)) block.successors.push(back);
        }
        continue;
      }
      // A call comes back
      const further = !isCall(last) ? block.successors : block.next === undefined ? [] : [block.next];
      for (const to of further)
        if (!seen.has(to)) {
          seen.add(to);
          queue.push(to);
        }
    }
  }
} // prettier-ignore

/** undefined: nothing there that would be worth it. */
export function discoverRegion(
  cache: CodeCache,
  entry: number,
  find: PageFinder,
  data: GuestData,
): Region | undefined {
  const work: Discovery = { cache, find, data, pages: new Map(), joined: new Uint8Array(32) };
  const { heads, found, cases, calls, stubs } = findHeads(work, entry);
  if (!found.has(entry)) return undefined;
  const blocks = new Map<number, Block>();
  for (const head of heads) {
    if (!found.has(head)) continue;
    const block: Block = {
      at: head,
      instructions: [],
      successors: [],
      next: undefined,
      callee: undefined,
      cases: [],
    };
    for (let at = head; ;) {
      const instruction = found.get(at);
      if (instruction === undefined || (at !== head && heads.has(at))) {
        block.next = at;
        if (instruction !== undefined) block.successors.push(at);
        break;
      }
      block.instructions.push(instruction);
      const flow = flowOf(instruction);
      for (const to of cases.get(at) ?? []) if (found.has(to)) block.cases.push(to);
      at += instruction.length;
      if (flow === 'falls') continue;
      const target =
        flow === 'branch' || flow === 'jump' || flow === 'call' ? targetOf(instruction) : undefined;
      if (flow === 'branch' || isCall(instruction)) block.next = at;
      const inside = target !== undefined && found.has(target) && heads.has(target);
      if (flow === 'call' && inside) block.callee = target;
      // What is called comes back through the dispatcher, or by a return of the region
      const next = isCall(instruction) ? undefined : block.next;
      for (const to of [inside ? target : undefined, next, ...block.cases])
        if (to !== undefined && found.has(to) && heads.has(to) && !block.successors.includes(to)) block.successors.push(to); // prettier-ignore
      break;
    }
    blocks.set(head, block);
  }
  linkReturns(blocks, calls);
  const { pages } = work;
  const used = new Map<number, RegionPage>();
  let instructionCount = 0;
  for (const { instructions } of [
    ...blocks.values(),
    ...[...stubs.values()].map((stub) => ({ instructions: stub })),
  ])
    for (const { at, length } of instructions) {
      instructionCount++;
      for (const byte of [at, at + length - 1]) {
        const page = pages.get(Math.floor(byte / PAGE_BYTES) * PAGE_BYTES);
        if (page !== undefined) used.set(page.delta, page);
      }
    }
  const entries = new Set([entry]);
  for (const { instructions, callee, next } of blocks.values()) {
    const last = instructions.at(-1);
    const leaves = last !== undefined && isCall(last) && callee === undefined;
    if (leaves && next !== undefined && blocks.has(next)) entries.add(next);
  }
  return { entry, entries: [...entries], blocks, stubs, pages: used, instructionCount };
}

/** Address of a frame's bytes. */
export const hostOfFrame = (frame: number): number => RAM_BASE + frame * PAGE_BYTES;
