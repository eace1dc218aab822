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

const { CODE_BASE, CODE_INDEX_BYTES, CODE_SLOT_BYTES, ENTRY_HANDLER, EXTENT_BYTES, EXTENT_TABLE, FRAME_CODE_BASE, JUMP, JUMP_BYTES, JUMP_ENTRIES, LOG_ENTRIES, RAM_BASE, TLB_ENTRIES } = layout; // prettier-ignore
const FRAME_BITS = 0x000f_ffff_ffff_f000n;
const RESERVED_BITS = 0x000f_ff00_0000_0000n;
const NO_EXECUTE = 1n << 63n;
/**
 * Pages looked at on either side of the one that was asked for. Each search since the extents were cleared doubles it, up
 * to 1 GiB, so that what is cleared often costs little, and what stays is soon covered by few extents.
 */
const REACH = 32;
const REACH_DOUBLINGS = 13;
const COARSE_BYTES = 0x20_0000;

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

const rightsFor = (write: boolean) => ({
  /** In the last level's entry. */
  leaf: PTE.present | PTE.user | PTE.accessed | (write ? PTE.write | PTE.dirty : 0),
  /** In all entries. */
  all: PTE.present | PTE.user | (write ? PTE.write : 0),
});
const hostOf = (entry: Code): Code =>
  i32.add(i32.const(RAM_BASE), i32.wrap_i64(i64.and(entry, i64.const(FRAME_BITS))));

/** Address of a table's entry for the 16 KiB (`fine`) or the 2 MiB (`coarse`) around an address, or of its largest extent. */
function tableEntry(context: Code, linear: Code, write: boolean, part: 'fine' | 'coarse' | 'largest'): Code {
  const table = write ? COMPILED.writeTable : COMPILED.readTable;
  if (part === 'largest') return i32.add(context, i32.const(write ? COMPILED.writeLargest : COMPILED.readLargest));
  const number = i32.wrap_i64(i64.shr_u(linear, i64.const(part === 'fine' ? 14 : 21)));
  const past = i32.shl(i32.and(number, i32.const(EXTENT_TABLE - 1)), i32.const(5));
  return i32.add(i32.add(context, i32.const(table + (part === 'fine' ? 0 : EXTENT_TABLE * EXTENT_BYTES))), past);
} // prettier-ignore

/** i32: so many bytes from an address on lie in the extent. */
function covers(b: Body, entry: Code, linear: Code, length: Code): Code {
  const size = b.let('i64', i64.load32_u(entry, EXTENT.size));
  const distance = b.let('i64', i64.sub(linear, i64.load(entry, EXTENT.low)));
  return i32.and(i64.lt_u(distance, size), i64.le_u(i64.add(distance, length), size));
}

/** An extent goes to a slot or table entry, of which clearing must know when it was empty. */
function copyExtent(b: Body, to: Code, from: Code): void {
  b.unlikely(i32.eqz(i32.load(to, EXTENT.size)), () => {
    const count = b.let('i32', i32.load(b.context, COMPILED.filled));
    b.when(i32.lt_u(count, i32.const(LOG_ENTRIES)), () =>
      b.emit(i32.store(i32.add(b.context, i32.shl(count, i32.const(2))), to, COMPILED.log)),
    );
    b.emit(i32.store(b.context, i32.add(count, i32.const(1)), COMPILED.filled));
  });
  for (let at = 0; at < EXTENT_BYTES; at += 8) b.emit(i64.store(to, i64.load(from, at), at));
}

/**
 * How far the stretch around a page reaches up or down: the last page that belongs to it. `at` is where the next page's
 * entry lies, 0 when it is in another table; `wanted` what matters of the page's own entry; at most `reach` entries are
 * looked at. What the tables know of is taken over without looking.
 */
function emitGrow(up: boolean, write: boolean, memoryBytes: number): FunctionCode {
  const name = `grow${up ? 'Up' : 'Down'}${write ? 'Write' : 'Read'}`;
  const step = up ? 1 : -1;
  const rights = rightsFor(write);
  return functionOf(name, ['i32', 'i64', 'i64', 'i32', 'i32', 'i32'], 'i64', (b, context, page, wanted, first, addend, reach) => {
    const last = b.variable('i64');
    const at = b.variable('i32');
    const left = b.variable('i32');
    const isNewTable = b.variable('i32');
    last.set(page);
    at.set(first);
    left.set(reach);
    isNewTable.set(i32.const(1));
    b.loop((leave, again) => {
      leave(i32.eqz(left.get));
      left.set(i32.sub(left.get, i32.const(1)));
      const next = b.let('i64', i64.add(last.get, i64.const(4096 * step)));
      b.when(isNewTable.get, () => {
        isNewTable.set(i32.const(0));
        const known = b.let('i32', tableEntry(context, next, write, 'coarse'));
        const low = b.let('i64', i64.load(known, EXTENT.low));
        const size = b.let('i64', i64.load32_u(known, EXTENT.size));
        const isInside = i64.lt_u(i64.sub(next, low), size);
        b.when(i32.and(isInside, i32.eq(i32.load(known, EXTENT.addend), addend)), () => {
          last.set(up ? i64.sub(i64.add(low, size), i64.const(4096)) : low);
          at.set(i32.const(0));
          isNewTable.set(i32.const(1));
          again();
        });
      });
      b.when(i32.eqz(at.get), () => {
        at.set(call('leafOf', context, next));
        leave(i32.eqz(at.get));
        const all = i64.load(context, CONTEXT.scratch);
        leave(i64.ne(i64.and(all, i64.const(rights.all)), i64.const(rights.all)));
      });
      const entry = b.let('i64', i64.load(at.get));
      const mask = i64.const(FRAME_BITS | RESERVED_BITS | BigInt(rights.leaf));
      leave(i64.ne(i64.and(entry, mask), i64.add(wanted, i64.sub(next, page))));
      leave(i64.ge_u(i64.and(entry, i64.const(FRAME_BITS)), i64.const(memoryBytes)));
      if (write) leave(codeOfFrame(hostOf(entry)));
      last.set(next);
      at.set(i32.add(at.get, i32.const(8 * step)));
      const isPastTable = i32.eq(i32.and(at.get, i32.const(4095)), i32.const(up ? 0 : 4088));
      b.when(isPastTable, () => {
        at.set(i32.const(0));
        isNewTable.set(i32.const(1));
      });
    });
    return last.get;
  });
} // prettier-ignore

/** findRead, findWrite(context, linear, span) → 1 when the fine table's entry for the address now holds them. */
function emitFind(write: boolean): FunctionCode {
  const kind = write ? 'Write' : 'Read';
  const rights = rightsFor(write);
  return functionOf(`find${kind}`, ['i32', 'i64', 'i32'], 'i32', (b, context, linear, span) => {
    const none = ret(i32.const(0));
    const fine = b.let('i32', tableEntry(context, linear, write, 'fine'));
    const coarse = b.let('i32', tableEntry(context, linear, write, 'coarse'));
    const largest = b.let('i32', tableEntry(context, linear, write, 'largest'));
    const length = b.let('i64', i64.extend_i32_u(span));
    b.when(covers(b, coarse, linear, length), () => {
      copyExtent(b, fine, coarse);
      b.emit(ret(i32.const(1)));
    });
    b.when(covers(b, largest, linear, length), () => {
      copyExtent(b, coarse, largest);
      copyExtent(b, fine, largest);
      b.emit(ret(i32.const(1)));
    });
    const leaf = b.let('i32', call('leafOf', context, linear));
    b.when(i32.eqz(leaf), () => b.emit(none));
    const all = i64.load(context, CONTEXT.scratch);
    // Rights hold on every level, accessed and dirty in the last
    const pte = b.let('i64', i64.load(context, CONTEXT.scratch + 8));
    b.when(i64.ne(i64.and(all, i64.const(rights.all)), i64.const(rights.all)), () => b.emit(none));
    b.when(i64.ne(i64.and(pte, i64.const(rights.leaf)), i64.const(rights.leaf)), () => b.emit(none));
    if (write) b.when(codeOfFrame(hostOf(pte)), () => b.emit(none));
    const walks = b.let('i32', i32.load(context, COMPILED.walks));
    b.emit(i32.store(context, i32.add(walks, i32.const(1)), COMPILED.walks));
    const doublings = select(i32.lt_u(walks, i32.const(REACH_DOUBLINGS)), walks, i32.const(REACH_DOUBLINGS));
    const reach = b.let('i32', i32.shl(i32.const(REACH), doublings));
    const wanted = b.let('i64', i64.and(pte, i64.const(FRAME_BITS | BigInt(rights.leaf))));
    const page = b.let('i64', i64.and(linear, i64.const(-4096)));
    const addend = b.let('i32', i32.sub(hostOf(pte), i32.wrap_i64(page)));
    const grown = (up: boolean): Code => {
      const isLast = i32.eq(i32.and(leaf, i32.const(4095)), i32.const(up ? 4088 : 0));
      const next = select(isLast, i32.const(0), i32.add(leaf, i32.const(up ? 8 : -8)));
      return call(`grow${up ? 'Up' : 'Down'}${kind}`, context, page, wanted, next, addend, reach);
    };
    const low = b.let('i64', grown(false));
    const size = b.let('i32', i32.wrap_i64(i64.add(i64.sub(grown(true), low), i64.const(4096))));
    const made = b.let('i32', i32.add(context, i32.const(COMPILED.made)));
    b.emit(i64.store(made, low, EXTENT.low));
    for (const [at, bytes] of [[EXTENT.limit8, 8], [EXTENT.limit64, 64], [EXTENT.limit256, 256], [EXTENT.limit1024, 1024]] as const)
      b.emit(i32.store(made, i32.sub(size, i32.const(bytes - 1)), at));
    b.emit(i32.store(made, size, EXTENT.size));
    b.emit(i32.store(made, addend, EXTENT.addend));
    copyExtent(b, coarse, made);
    copyExtent(b, fine, made);
    b.when(i32.gt_u(size, i32.const(COARSE_BYTES)), () => copyExtent(b, largest, made));
    return covers(b, made, linear, length);
  });
} // prettier-ignore

/** readExtent, writeExtent(context, slot, linear, span): fills the slot; host address, or 0 when there is no such extent. */
function emitExtent(write: boolean): FunctionCode {
  const kind = write ? 'write' : 'read';
  return functionOf(`${kind}Extent`, ['i32', 'i32', 'i64', 'i32'], 'i32', (b, context, slotOffset, linear, span) => {
    const entry = b.let('i32', tableEntry(context, linear, write, 'fine'));
    b.unlikely(i32.eqz(covers(b, entry, linear, i64.extend_i32_u(span))), () => {
      const found = call(write ? 'findWrite' : 'findRead', context, linear, span);
      b.when(i32.eqz(found), () => b.emit(ret(i32.const(0))));
    });
    const slot = b.let('i32', i32.add(context, slotOffset));
    // The slot had a part of the same stretch. Parts found before more pages became present are too short, and clearing does
    // not come for that; the coarse entry is never older
    b.unlikely(i32.eq(i32.load(slot, EXTENT.addend), i32.load(entry, EXTENT.addend)), () => {
      const coarse = b.let('i32', tableEntry(context, linear, write, 'coarse'));
      b.when(covers(b, coarse, linear, i64.extend_i32_u(span)), () => copyExtent(b, entry, coarse));
    });
    copyExtent(b, slot, entry);
    return i32.add(i32.wrap_i64(linear), i32.load(entry, EXTENT.addend));
  });
} // prettier-ignore

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
  const first = i32.load(context, COMPILED.jumps);
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
    ...[false, true].flatMap((write) => [
      emitGrow(true, write, memoryBytes),
      emitGrow(false, write, memoryBytes),
      emitFind(write),
      emitExtent(write),
    ]),
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
