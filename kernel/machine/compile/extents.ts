// Functions in wasm that compiled code calls when a slot misses: they look for the extent around an address, in the CPU's
// table of recent ones or in the page tables, and put it into the slot.
//
// Looking never changes anything that the guest can see: pages whose accessed bit (for writing: dirty bit) is not set are no
// part of an extent, so the interpreter meets them first, walks properly and sets the bits. A page with predecoded code is
// never in an extent for writing.

import type { Body } from '../exec/body.ts';
import type { Code } from '../exec/wasm.ts';
import { call, i32, i64, ret, select, tailCallIndirect } from '../exec/wasm.ts';
import type { FunctionCode } from '../exec/wasm-module.ts';
import * as layout from '../layout.ts';
import { COMPILED, CONTEXT, ENTRY, ENTRY_BASE, ENTRY_BYTES, EXIT, EXTENT } from '../layout.ts';
import { PTE } from '../machine.ts';
import { functionOf } from '../mmu/walk.ts';
import { storeFlagsBody } from './flags.ts';
import { REGION_SIGNATURE } from '../exec/signatures.ts';

const { CODE_BASE, CODE_INDEX_BYTES, CODE_SLOT_BYTES, CPU_BASE, CPU_STRIDE, ENTRY_HANDLER, EXTENT_TABLE, FRAME_CODE_BASE, JUMP, JUMP_BASE, JUMP_BYTES, JUMP_ENTRIES, LOG_ENTRIES, RAM_BASE, TLB_ENTRIES } = layout; // prettier-ignore
const FRAME_BITS = 0x000f_ffff_ffff_f000n;
const RESERVED_BITS = 0x000f_ff00_0000_0000n;
const NO_EXECUTE = 1n << 63n;
/** Pages looked at on either side of the one that was asked for; all of the page table's when that was too few before. */
const REACH = 32;

const codeOfFrame = (host: Code): Code =>
  i32.load16_u(
    i32.add(i32.const(FRAME_CODE_BASE), i32.shl(i32.shr_u(i32.sub(host, i32.const(RAM_BASE)), i32.const(12)), i32.const(1))), // prettier-ignore
  );

/**
 * leafOf(context, linear) → host address of the page-table entry of a user page, 0 if a level is missing or wrong; 1 for a
 * large page. In context.scratch: AND of all entries (u64), the last entry (u64), OR of all (u64).
 */
function emitLeafOf(memoryBytes: number): FunctionCode {
  return functionOf('leafOf', ['i32', 'i64'], 'i32', (b, context, linear) => {
    const none = ret(i32.const(0));
    b.when(i64.ne(i64.shr_u(linear, i64.const(47)), i64.const(0)), () => b.emit(none));
    const table = b.variable('i64');
    const shift = b.variable('i64');
    const all = b.variable('i64');
    const any = b.variable('i64');
    const entryAt = b.variable('i32');
    const entry = b.variable('i64');
    table.set(i64.and(b.get('cr3'), i64.const(FRAME_BITS)));
    shift.set(i64.const(39));
    all.set(i64.const(-1));
    any.set(i64.const(0));
    b.loop((leave) => {
      b.when(i64.gt_u(table.get, i64.const(memoryBytes - 4096)), () => b.emit(none));
      const index = i32.and(i32.wrap_i64(i64.shr_u(linear, shift.get)), i32.const(511));
      entryAt.set(
        i32.add(i32.add(i32.const(RAM_BASE), i32.wrap_i64(table.get)), i32.shl(index, i32.const(3))),
      );
      entry.set(i64.load(entryAt.get));
      all.set(i64.and(all.get, entry.get));
      any.set(i64.or(any.get, entry.get));
      leave(i64.eq(shift.get, i64.const(12)));
      b.when(i64.eqz(i64.and(entry.get, i64.const(PTE.present))), () => b.emit(none));
      // Large pages are left to the interpreter's TLB: the kernel maps none for users
      b.when(i64.ne(i64.and(entry.get, i64.const(PTE.large)), i64.const(0)), () => b.emit(none));
      table.set(i64.and(entry.get, i64.const(FRAME_BITS)));
      shift.set(i64.sub(shift.get, i64.const(9)));
    });
    b.when(i64.ne(i64.and(any.get, i64.const(RESERVED_BITS)), i64.const(0)), () => b.emit(none));
    b.when(i64.ge_u(i64.and(entry.get, i64.const(FRAME_BITS)), i64.const(memoryBytes)), () => b.emit(none));
    b.emit(i64.store(context, all.get, CONTEXT.scratch));
    b.emit(i64.store(context, entry.get, CONTEXT.scratch + 8));
    b.emit(i64.store(context, any.get, CONTEXT.scratch + 16));
    return entryAt.get;
  });
}

/** Notes that an extent was filled, so that clearing finds it. */
function logFill(b: Body, address: Code): void {
  const count = b.let('i32', i32.load(b.context, COMPILED.filled));
  b.when(i32.lt_u(count, i32.const(LOG_ENTRIES)), () =>
    b.emit(i32.store(i32.add(b.context, i32.shl(count, i32.const(2))), address, COMPILED.log)),
  );
  b.emit(i32.store(b.context, i32.add(count, i32.const(1)), COMPILED.filled));
}

function emitExtent(name: string, write: boolean, memoryBytes: number): FunctionCode {
  return functionOf(name, ['i32', 'i32', 'i64', 'i32'], 'i32', (b, context, slotOffset, linear, span) => {
    const slot = b.let('i32', i32.add(context, slotOffset));
    const tableAt = write ? COMPILED.writeTable : COMPILED.readTable;
    const index = i32.and(i32.wrap_i64(i64.shr_u(linear, i64.const(21))), i32.const(EXTENT_TABLE - 1));
    const entry = b.let('i32', i32.add(i32.add(context, i32.const(tableAt)), i32.shl(index, i32.const(5))));
    const low = b.variable('i64');
    const size = b.variable('i64');
    const addend = b.variable('i32');
    const length = b.let('i64', i64.extend_i32_u(span));
    const covers = (): Code => {
      const distance = i64.sub(linear, low.get);
      return i32.and(i64.lt_u(distance, size.get), i64.le_u(i64.add(distance, length), size.get));
    };
    low.set(i64.load(entry, EXTENT.low));
    size.set(i64.load(entry, EXTENT.size));
    addend.set(i32.load(entry, EXTENT.addend));
    b.when(i32.eqz(covers()), () => {
      const none = ret(i32.const(0));
      const leaf = b.let('i32', call('leafOf', context, linear));
      b.when(i32.eqz(leaf), () => b.emit(none));
      const all = i64.load(context, CONTEXT.scratch);
      const needed = PTE.present | PTE.user | PTE.accessed | (write ? PTE.write | PTE.dirty : 0);
      const above = PTE.present | PTE.user | (write ? PTE.write : 0);
      // Rights hold on every level, accessed and dirty in the last
      const pte = b.let('i64', i64.load(context, CONTEXT.scratch + 8));
      b.when(i64.ne(i64.and(all, i64.const(above)), i64.const(above)), () => b.emit(none));
      b.when(i64.ne(i64.and(pte, i64.const(needed)), i64.const(needed)), () => b.emit(none));
      const hostOf = (of: Code): Code =>
        i32.add(i32.const(RAM_BASE), i32.wrap_i64(i64.and(of, i64.const(FRAME_BITS))));
      if (write) b.when(codeOfFrame(hostOf(pte)), () => b.emit(none));
      const wanted = b.let('i64', i64.and(pte, i64.const(FRAME_BITS | BigInt(needed))));
      const mask = i64.const(FRAME_BITS | RESERVED_BITS | BigInt(needed));
      const reach = b.let('i32', select(i64.eqz(size.get), i32.const(REACH), i32.const(512)));
      const grow = (up: boolean): Code => {
        const pages = b.variable('i32');
        const sign = up ? 1 : -1;
        pages.set(i32.const(0));
        b.loop((leave) => {
          const next = b.let('i32', i32.add(pages.get, i32.const(1)));
          leave(i32.gt_u(next, reach));
          const at = b.let('i32', i32.add(leaf, i32.mul(next, i32.const(8 * sign))));
          // Not beyond this page table
          leave(i32.and(i32.xor(at, leaf), i32.const(-4096)));
          const other = b.let('i64', i64.load(at));
          const expected = i64.add(wanted, i64.mul(i64.extend_i32_u(next), i64.const(4096 * sign)));
          leave(i64.ne(i64.and(other, mask), expected));
          leave(i64.ge_u(i64.and(other, i64.const(FRAME_BITS)), i64.const(memoryBytes)));
          if (write) leave(codeOfFrame(hostOf(other)));
          pages.set(next);
        });
        return i64.extend_i32_u(pages.get);
      };
      const below = grow(false);
      const over = grow(true);
      const page = i64.and(linear, i64.const(-4096));
      low.set(i64.sub(page, i64.shl(below, i64.const(12))));
      size.set(i64.shl(i64.add(i64.add(below, over), i64.const(1)), i64.const(12)));
      addend.set(i32.sub(hostOf(pte), i32.wrap_i64(page)));
      b.emit(i64.store(entry, low.get, EXTENT.low));
      b.emit(i64.store(entry, size.get, EXTENT.size));
      b.emit(i32.store(entry, addend.get, EXTENT.addend));
      logFill(b, entry);
      b.when(i32.eqz(covers()), () => b.emit(none));
    });
    b.emit(i64.store(slot, low.get, EXTENT.low));
    b.emit(i64.store(slot, i64.sub(size.get, i64.const(63)), EXTENT.limit64));
    b.emit(i64.store(slot, i64.sub(size.get, i64.const(1023)), EXTENT.limit1024));
    b.emit(i32.store(slot, addend.get, EXTENT.addend));
    logFill(b, slot);
    return i32.add(i32.wrap_i64(linear), addend.get);
  });
}

/** codePage(context, page, slot) → 1 if that page of the guest is the one whose code lies in this slot, and may execute. */
function emitCodePage(): FunctionCode {
  return functionOf('codePage', ['i32', 'i64', 'i32'], 'i32', (b, context, page, slot) => {
    const index = i32.and(i32.wrap_i64(i64.shr_u(page, i64.const(12))), i32.const(TLB_ENTRIES - 1));
    const entry = b.let('i32', i32.add(context, i32.shl(index, i32.const(4))));
    b.when(i64.eq(i64.load(entry, CONTEXT.tlbExecute), page), () =>
      b.emit(ret(i32.eq(i32.load(entry, CONTEXT.tlbExecute + 8), slot))),
    );
    const none = ret(i32.const(0));
    b.when(i32.eqz(call('leafOf', context, page)), () => b.emit(none));
    const all = i64.load(context, CONTEXT.scratch);
    const pte = b.let('i64', i64.load(context, CONTEXT.scratch + 8));
    const needed = PTE.present | PTE.user;
    b.when(i64.ne(i64.and(all, i64.const(needed)), i64.const(needed)), () => b.emit(none));
    b.when(i64.eqz(i64.and(pte, i64.const(PTE.accessed))), () => b.emit(none));
    b.when(i64.ne(i64.and(i64.load(context, CONTEXT.scratch + 16), i64.const(NO_EXECUTE)), i64.const(0)), () => b.emit(none)); // prettier-ignore
    const frame = i32.wrap_i64(i64.shr_u(i64.and(pte, i64.const(FRAME_BITS)), i64.const(12)));
    const number = b.let('i32', i32.load16_u(i32.add(i32.const(FRAME_CODE_BASE), i32.shl(frame, i32.const(1))))); // prettier-ignore
    b.when(i32.eqz(number), () => b.emit(none));
    const past = i32.mul(i32.sub(number, i32.const(1)), i32.const(CODE_SLOT_BYTES));
    b.when(i32.ne(i32.add(i32.const(CODE_BASE), past), slot), () => b.emit(none));
    b.emit(i64.store(entry, page, CONTEXT.tlbExecute));
    b.emit(i32.store(entry, slot, CONTEXT.tlbExecute + 8));
    return i32.const(1);
  });
}

/** i32: the jump cache's entry for an address. */
function jumpEntry(context: Code, address: Code): Code {
  const hash = i32.wrap_i64(i64.xor(address, i64.shr_u(address, i64.const(12))));
  // One after the other, as the contexts are
  const scale = (JUMP_ENTRIES * JUMP_BYTES) / CPU_STRIDE;
  const first = i32.add(i32.mul(context, i32.const(scale)), i32.const(JUMP_BASE - CPU_BASE * scale));
  return i32.add(first, i32.mul(i32.and(hash, i32.const(JUMP_ENTRIES - 1)), i32.const(JUMP_BYTES)));
}

/** enterAt(context, address, remaining, depth): runs compiled code there, if there is some; else says EXIT.jump. */
function emitEnterAt(firstEntry: number): FunctionCode {
  return functionOf(
    'enterAt',
    ['i32', 'i64', 'i32', 'i32'],
    'i32',
    (b, context, address, remaining, depth) => {
      const none = ret(i32.const(EXIT.jump));
      const generation = i32.load(context, COMPILED.generation);
      const jump = b.let('i32', jumpEntry(context, address));
      const isHit = i32.and(
        i64.eq(i64.load(jump, JUMP.address), address),
        i32.eq(i32.load(jump, JUMP.generation), generation),
      );
      b.unlikely(i32.eqz(isHit), () => {
        const page = b.let('i64', i64.and(address, i64.const(-4096)));
        const index = i32.and(i32.wrap_i64(i64.shr_u(address, i64.const(12))), i32.const(TLB_ENTRIES - 1));
        const entry = b.let('i32', i32.add(context, i32.shl(index, i32.const(4))));
        b.when(i64.ne(i64.load(entry, CONTEXT.tlbExecute), page), () => b.emit(none));
        const slot = b.let('i32', i32.load(entry, CONTEXT.tlbExecute + 8));
        const offset = i32.shl(i32.and(i32.wrap_i64(address), i32.const(4095)), i32.const(1));
        const record = b.let('i32', i32.load16_u(i32.add(slot, offset)));
        b.when(i32.eqz(record), () => b.emit(none));
        const at = i32.add(i32.add(slot, i32.const(CODE_INDEX_BYTES)), i32.shl(record, i32.const(5)));
        const number = b.let('i32', i32.sub(i32.load16_u(at), i32.const(ENTRY_HANDLER)));
        b.when(i32.lt_s(number, i32.const(0)), () => b.emit(none));
        const cell = b.let('i32', i32.mul(number, i32.const(ENTRY_BYTES)));
        const base = i64.sub(page, i64.load32_s(cell, ENTRY_BASE + ENTRY.delta));
        b.emit(i64.store(jump, address, JUMP.address));
        b.emit(i64.store(jump, base, JUMP.base));
        b.emit(i32.store(jump, generation, JUMP.generation));
        b.emit(i32.store(jump, i32.add(number, i32.const(firstEntry)), JUMP.function));
        b.emit(i32.store(jump, i32.load(cell, ENTRY_BASE + ENTRY.number), JUMP.number));
      });
      return tailCallIndirect(
        REGION_SIGNATURE,
        i32.load(jump, JUMP.function),
        context,
        i64.load(jump, JUMP.base),
        remaining,
        depth,
        i32.load(jump, JUMP.number),
      );
    },
  );
}

export function extentFunctions(memoryBytes: number, firstEntry: number): FunctionCode[] {
  return [
    emitLeafOf(memoryBytes),
    emitExtent('readExtent', false, memoryBytes),
    emitExtent('writeExtent', true, memoryBytes),
    emitCodePage(),
    emitEnterAt(firstEntry),
    functionOf(
      'storeFlags',
      ['i32', 'i32', 'i64', 'i64', 'i64'],
      undefined,
      (b, _context, kind, a, second, result) => {
        storeFlagsBody(b, kind, a, second, result);
        return [];
      },
    ),
    // What the table holds where nothing is compiled
    functionOf('notCompiled', ['i32', 'i64', 'i32', 'i32', 'i32'], 'i32', () => i32.const(EXIT.jump)),
  ];
}
