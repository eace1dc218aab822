// The pages of a region: when it is entered it looks whether they are still where they were, and blocks look at what it found.

import type { Code } from '../exec/wasm.ts';
import { call, i32, i64, local, unlikely } from '../exec/wasm.ts';
import { CONTEXT, TLB_ENTRIES } from '../layout.ts';
import type { FlowGraph } from './graph.ts';
import { DISPATCHER } from './graph.ts';
import type { Block, Instruction, Region, RegionPage } from './region.ts';
import { flowOf, targetOf } from './region.ts';
import { LOCAL, context } from './unit.ts';
import { addressOf } from './work.ts';

/** The linkage stub that a block calls at its end. */
export function stubOf(region: Region, { instructions }: Block): readonly Instruction[] {
  const last = instructions.at(-1);
  return last !== undefined && flowOf(last) === 'call' ? (region.stubs.get(targetOf(last)) ?? []) : [];
}

/**
 * Notes in `badPages` whether a page of the region is where it was; blocks on it look there. (A page that the process has
 * not executed yet keeps its blocks from running, not the whole region.)
 */
export function pageCheck(page: RegionPage): Code {
  const address = addressOf(page.delta);
  const index = i32.and(i32.wrap_i64(i64.shr_u(address, i64.const(12))), i32.const(TLB_ENTRIES - 1));
  const entry = local.tee(LOCAL.status, i32.add(context, i32.shl(index, i32.const(4))));
  const isOther = i32.or(
    i64.ne(i64.load(entry, CONTEXT.tlbExecute), address),
    i32.ne(i32.load(local.get(LOCAL.status), CONTEXT.tlbExecute + 8), i32.const(page.slot)),
  );
  const isBad = i32.eqz(call('codePage', context, address, i32.const(page.slot)));
  const bit = i32.shl(isBad, i32.const(page.bit));
  return unlikely(isOther, local.set(LOCAL.badPages, i32.or(local.get(LOCAL.badPages), bit)));
}

/** Pages of a block as bits of `badPages`, those of a stub that it calls among them. */
export function pagesOf(region: Region, content: Block): number {
  let bits = 0;
  for (const { at, length } of [...content.instructions, ...stubOf(region, content)])
    for (const byte of [at, at + length - 1])
      bits |= 1 << (region.pages.get(Math.floor(byte / 4096) * 4096)?.bit ?? 0);
  return bits;
}

/** Pages that are in place wherever control comes from to a block, by the block: as bits of `badPages`. */
export function knownPages(region: Region, graph: FlowGraph): Map<number, number> {
  const known = new Map<number, number>();
  const pages = new Map([...region.blocks].map(([at, content]) => [at, pagesOf(region, content)]));
  for (let changed = region.pages.size > 1; changed;) {
    changed = false;
    for (const node of graph.values()) {
      // Through the dispatcher control comes from anywhere
      const after = node.at === DISPATCHER ? 0 : (known.get(node.at) ?? 0) | (pages.get(node.at) ?? 0);
      for (const to of node.successors) {
        const before = known.get(to);
        const met = before === undefined ? after : before & after;
        if (met === before) continue;
        known.set(to, met);
        changed = true;
      }
    }
  }
  return known;
}
