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
const BLOCK_INSTRUCTIONS = 64;
/** Pages that a region may touch, on either side of its entry's. */
const PAGE_REACH = 1;

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
}

/** A page that the region was made from. */
export interface RegionPage {
  readonly delta: number; // in bytes, from the entry's page
  readonly slot: number;
  readonly host: number; // its bytes in memory
}

export interface Region {
  readonly entry: number;
  readonly blocks: ReadonlyMap<number, Block>;
  readonly pages: ReadonlyMap<number, RegionPage>;
  readonly instructionCount: number;
}

/** Code slot of the page at this distance from the entry's page if its translation is known to the CPU, or 0. */
export type PageFinder = (delta: number) => RegionPage | undefined;

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

interface Discovery {
  readonly cache: CodeCache;
  readonly find: PageFinder;
  readonly pages: Map<number, RegionPage>;
  readonly joined: Uint8Array;
}

function pageAt(work: Discovery, at: number): RegionPage | undefined {
  const delta = Math.floor(at / PAGE_BYTES) * PAGE_BYTES;
  if (Math.abs(delta) > PAGE_REACH * PAGE_BYTES) return undefined;
  const known = work.pages.get(delta);
  if (known !== undefined) return known;
  const found = work.find(delta);
  if (found !== undefined) work.pages.set(delta, found);
  return found;
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

/** Where each block begins. */
function findHeads(work: Discovery, entry: number): { heads: Set<number>; found: Map<number, Instruction> } {
  const heads = new Set<number>([entry]);
  const found = new Map<number, Instruction>();
  const queue = [entry];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    for (let next = at; !found.has(next) && found.size < REGION_INSTRUCTIONS;) {
      const instruction = instructionAt(work, next);
      if (instruction === undefined) break;
      found.set(next, instruction);
      const flow = flowOf(instruction);
      const behind = next + instruction.length;
      if (flow === 'branch' || flow === 'jump') {
        const target = targetOf(instruction);
        if (isKnown(work, target)) {
          heads.add(target);
          queue.push(target);
        }
      }
      if (flow === 'branch' || flow === 'call') heads.add(behind);
      if (flow === 'computed' && instruction.entry.instruction.mnemonic === 'call') heads.add(behind);
      const stops = flow === 'jump' || flow === 'leaves' || (flow === 'computed' && instruction.entry.instruction.mnemonic !== 'call'); // prettier-ignore
      if (stops) break;
      next = behind;
    }
  }
  return { heads, found };
}

/** undefined: nothing there that would be worth it. */
export function discoverRegion(cache: CodeCache, entry: number, find: PageFinder): Region | undefined {
  const work: Discovery = { cache, find, pages: new Map(), joined: new Uint8Array(32) };
  const { heads, found } = findHeads(work, entry);
  if (!found.has(entry)) return undefined;
  const blocks = new Map<number, Block>();
  for (const head of heads) {
    if (!found.has(head)) continue;
    const block: Block = { at: head, instructions: [], successors: [], next: undefined };
    for (let at = head; ;) {
      const instruction = found.get(at);
      const ends = instruction === undefined || block.instructions.length === BLOCK_INSTRUCTIONS;
      if (ends || (at !== head && heads.has(at))) {
        block.next = at;
        if (found.has(at) && heads.has(at)) block.successors.push(at);
        break;
      }
      block.instructions.push(instruction);
      const flow = flowOf(instruction);
      at += instruction.length;
      if (flow === 'falls') continue;
      const target = flow === 'branch' || flow === 'jump' ? targetOf(instruction) : undefined;
      if (flow === 'branch' || flow === 'call' || instruction.entry.instruction.mnemonic === 'call')
        block.next = at;
      for (const to of [target, block.next])
        if (to !== undefined && found.has(to) && heads.has(to) && !block.successors.includes(to)) block.successors.push(to); // prettier-ignore
      break;
    }
    blocks.set(head, block);
  }
  const { pages } = work;
  const used = new Map<number, RegionPage>();
  let instructionCount = 0;
  for (const block of blocks.values())
    for (const { at, length } of block.instructions) {
      instructionCount++;
      for (const byte of [at, at + length - 1]) {
        const page = pages.get(Math.floor(byte / PAGE_BYTES) * PAGE_BYTES);
        if (page !== undefined) used.set(page.delta, page);
      }
    }
  return { entry, blocks, pages: used, instructionCount };
}

/** Address of a frame's bytes. */
export const hostOfFrame = (frame: number): number => RAM_BASE + frame * PAGE_BYTES;
