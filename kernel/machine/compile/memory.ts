// Memory operands of compiled code. Accesses whose addresses differ by constants form a group with one check, in front of
// the first: an extent slot (extents.ts) must hold the whole range. The check is written when the path has ended, as
// later accesses may widen the range, or turn it from reading into writing within one block.
//
// On a miss the slot is filled by `readExtent` or `writeExtent`; if they find no plain memory there (a page to fault in,
// an operand across pages that are not neighbours in RAM, a page with code), the region is left in front of the
// instruction, and the interpreter, which knows about all that, executes it.

import type { Code } from '../exec/wasm.ts';
import { call, i32, i64, local, unlikely } from '../exec/wasm.ts';
import { EXTENT } from '../layout.ts';
import type { Unit } from './unit.ts';
import { allocate, context, emit, keep } from './unit.ts';
import type { Value } from './values.ts';

/** A group reaches so far at most; a slot has limits for spans of 8, 64, 256 and 1024 bytes. */
const SPAN_MAX = 1024;

const RSP = 4;

export interface Group {
  readonly host: number; // local (i32): host address of the anchor
  readonly anchor: Value;
  low: number; // range around the anchor
  high: number;
  write: boolean;
  readonly block: number;
  readonly nesting: number;
}

export interface Access {
  /** Host address is `host` + `delta`. */
  readonly group: Group;
  readonly delta: number;
}

export interface SlotPicker {
  /** Offset in the context of the slot for a class of accesses. */
  slotFor(name: string, write: boolean): number;
  /** In a loop: locals that hold the slot's content while the loop runs. */
  localsFor(slot: number, loop: number): SlotLocals;
}

export interface SlotLocals {
  readonly low: number;
  readonly limit64: number;
  readonly addend: number;
}

/** Loads a slot into locals. */
export const loadSlot = (slot: number, { low, limit64, addend }: SlotLocals): Code => [
  local.set(low, i64.load(context, slot + EXTENT.low)),
  local.set(limit64, i64.load32_u(context, slot + EXTENT.limit64)),
  local.set(addend, i32.load(context, slot + EXTENT.addend)),
];

function widened(group: Group, delta: number, size: number): boolean {
  const low = Math.min(group.low, delta);
  const high = Math.max(group.high, delta + size);
  if (high - low > SPAN_MAX) return false;
  group.low = low;
  group.high = high;
  return true;
}

/** Finds or makes the group of an access. `leave` is the exit in front of the instruction. */
export function accessMemory(
  unit: Unit,
  slots: SlotPicker,
  address: Value,
  size: number,
  write: boolean,
  name: string,
  leave: () => Code,
): Access {
  const { groups, gpr } = unit.state;
  // One extent serves the stack of all functions, whichever register points into it
  const kind = address.root === gpr[RSP]?.root ? 'stack' : name;
  const readKey = `${address.root}`;
  const writeKey = `${address.root}w`;
  for (const key of write ? [writeKey, readKey] : [writeKey, readKey]) {
    const group = groups.get(key);
    if (group === undefined) continue;
    const delta = address.offset - group.anchor.offset;
    const here = group.block === unit.block && group.nesting === unit.nesting;
    if (write && !group.write) {
      if (!here || !widened(group, delta, size)) continue;
      group.write = true;
      groups.set(writeKey, group);
      return { group, delta };
    }
    const covered = delta >= group.low && delta + size <= group.high;
    if (!covered && !(here && widened(group, delta, size))) continue;
    return { group, delta };
  }
  const host = allocate(unit, 'i32');
  const group: Group = {
    host,
    anchor: address,
    low: 0,
    high: size,
    write,
    block: unit.block,
    nesting: unit.nesting,
  };
  const check: Code[] = [];
  emit(unit, check);
  const leaving = leave();
  const { loop } = unit;
  unit.pending.push(() => {
    const slot = slots.slotFor(kind, group.write);
    check.push(checkCode(slot, loop === undefined ? undefined : slots.localsFor(slot, loop), group, leaving));
  });
  groups.set(write ? writeKey : readKey, group);
  return { group, delta: 0 };
}

function limitFor(span: number): number {
  if (span <= 8) return EXTENT.limit8;
  if (span <= 64) return EXTENT.limit64;
  return span <= 256 ? EXTENT.limit256 : EXTENT.limit1024;
}

function checkCode(slot: number, cached: SlotLocals | undefined, group: Group, leave: Code): Code {
  const span = group.high - group.low;
  const { code } = group.anchor;
  const first = group.low === 0 ? code : i64.add(code, i64.const(group.low));
  const miss = call(group.write ? 'writeExtent' : 'readExtent', context, i32.const(slot), first, i32.const(span));
  const inLocals = span <= 64 ? cached : undefined;
  const low = inLocals === undefined ? i64.load(context, slot + EXTENT.low) : local.get(inLocals.low);
  const limit = inLocals === undefined ? i64.load32_u(context, slot + limitFor(span)) : local.get(inLocals.limit64);
  const addend = inLocals === undefined ? i32.load(context, slot + EXTENT.addend) : local.get(inLocals.addend);
  return unlikely(
    i64.ge_u(i64.sub(first, low), limit),
    [
      local.set(group.host, miss),
      unlikely(i32.eqz(local.get(group.host)), leave),
      group.low === 0 ? [] : local.set(group.host, i32.sub(local.get(group.host), i32.const(group.low))),
      inLocals === undefined ? [] : loadSlot(slot, inLocals),
    ],
    local.set(group.host, i32.add(i32.wrap_i64(code), addend)),
  );
} // prettier-ignore

/** Host address and a static offset for the load or store. */
export function placeOfAccess(unit: Unit, { group, delta }: Access): { host: Code; offset: number } {
  const host = local.get(group.host);
  if (delta >= 0) return { host, offset: delta };
  return { host: keep(unit, 'i32', i32.add(host, i32.const(delta))), offset: 0 };
}
