// The MMU in wasm: the 4-level page walk with its checks and A/D bits (SDM 3A 4.5 to 4.8), filling of the read and write
// TLBs, and the slow paths of memory operands (TLB miss, operand across two pages). Functions take the CPU's context
// and return an i32 host address, or 0 with the exception stored in the context.
//
// walk(context, linear, access) with access 0 read, 1 write, 2 execute; readSlow / writeSlow(context, linear, size);
// writeBack(context) puts back a page-crossing operand that writeSlow lent as a scratch copy.

import { createBody, functionLocals } from '../exec/body.ts';
import type { Body } from '../exec/body.ts';
import type { Code, Type } from '../exec/wasm.ts';
import { call, i32, i64, local, memory, ret, select } from '../exec/wasm.ts';
import type { FunctionCode } from '../exec/wasm-module.ts';
import {
  CODE_BASE,
  CODE_SLOT_BYTES,
  CONTEXT,
  FRAME_CODE_BASE,
  RAM_BASE,
  SYSTEM,
  TLB_ENTRIES,
} from '../layout.ts';
import { PAGE_FAULT, PTE, VECTOR } from '../machine.ts';

export function functionOf(
  name: string,
  parameters: readonly Type[],
  result: Type | undefined,
  fill: (body: Body, ...values: Code[]) => Code,
): FunctionCode {
  // prettier-ignore
  const locals = functionLocals(parameters.length);
  const values = parameters.map((_type, i) => local.get(i));
  const body = createBody(local.get(0), locals);
  const last = fill(body, ...values);
  const results = result === undefined ? [] : [result];
  return { name, parameters, results, locals: locals.types, body: [body.take(), last], exported: true };
}

const FRAME_BITS = 0x000f_ffff_ffff_f000n;
const WRITE_PROTECT = 0x1_0000; // WP of CR0
const NO_EXECUTE_ENABLED = 0x800; // NXE of EFER
const NO_EXECUTE = 1n << 63n;
/** #GP or #SS, by the segment that the instruction meant: run() finds out (stack-fault.ts). */
export const NOT_CANONICAL = 0x100 | VECTOR.generalProtection;
const ALIGNMENT_CHECK = 0x4_0000; // AC of RFLAGS and AM of CR0

/** i32: RFLAGS.AC is set in user mode. No TLB is filled then, so that every access comes to the slow path. */
const isStrict = (b: Body): Code =>
  i32.and(
    i32.ne(b.get('cpl'), i32.const(0)),
    i64.ne(i64.and(b.get('rflags'), i64.const(ALIGNMENT_CHECK)), i64.const(0)),
  );

function emitWalk(memoryBytes: number): FunctionCode {
  return functionOf('walk', ['i32', 'i64', 'i32'], 'i32', (b, context, linear, access) => {
    const fail = (vector: number, error: Code): void => {
      b.emit(i32.store(context, i32.const(vector), CONTEXT.trapVector));
      b.emit(i32.store(context, error, CONTEXT.trapError));
      if (vector === VECTOR.pageFault) b.emit(i64.store(context, linear, CONTEXT.cr2));
      b.emit(ret(i32.const(0)));
    };
    const isWrite = i32.eq(access, i32.const(1));
    const isExecute = i32.eq(access, i32.const(2));
    const isUser = i32.eq(b.get('cpl'), i32.const(3));
    const isSet = (field: number, bits: number): Code =>
      i32.ne(i32.and(i32.load(context, field), i32.const(bits)), i32.const(0));
    const isExecuteError = i32.and(isExecute, isSet(SYSTEM.efer, NO_EXECUTE_ENABLED));
    const isProtected = i32.or(isUser, isSet(SYSTEM.cr0, WRITE_PROTECT));
    const bit = (condition: Code, value: number): Code => select(condition, i32.const(value), i32.const(0));
    const errorCode = (known: number): Code =>
      i32.or(
        i32.or(i32.const(known), bit(isWrite, PAGE_FAULT.write)),
        i32.or(bit(isUser, PAGE_FAULT.user), bit(isExecuteError, PAGE_FAULT.instruction)),
      );
    const canonical = i64.shr_s(i64.shl(linear, i64.const(16)), i64.const(16));
    b.when(i64.ne(canonical, linear), () => fail(NOT_CANONICAL, i32.const(0)));

    const table = b.variable('i64');
    const shift = b.variable('i64');
    const rights = b.variable('i64'); // AND over the levels
    const noExecute = b.variable('i64'); // OR over the levels
    const entryAt = b.variable('i32');
    const entry = b.variable('i64');
    table.set(i64.and(b.get('cr3'), i64.const(FRAME_BITS)));
    shift.set(i64.const(39));
    rights.set(i64.const(-1));
    noExecute.set(i64.const(0));
    /** A page table may lie in a frame from which code runs, too. */
    const storeEntry = (value: Code): void => {
      b.emit(i64.store(entryAt.get, value));
      const frame = b.let('i32', i32.shr_u(i32.sub(entryAt.get, i32.const(RAM_BASE)), i32.const(12)));
      b.when(i32.load16_u(i32.add(i32.const(FRAME_CODE_BASE), i32.shl(frame, i32.const(1)))), () =>
        b.emit(call('dropCode', frame)),
      );
    };
    const reserved = (): void => fail(VECTOR.pageFault, errorCode(PAGE_FAULT.present | PAGE_FAULT.reserved));
    const levelMask = i64.sub(i64.shl(i64.const(1), shift.get), i64.const(1));
    b.loop((leave) => {
      b.when(i64.gt_u(table.get, i64.const(memoryBytes - 4096)), reserved);
      const index = i32.and(i32.wrap_i64(i64.shr_u(linear, shift.get)), i32.const(511));
      entryAt.set(
        i32.add(i32.add(i32.const(RAM_BASE), i32.wrap_i64(table.get)), i32.shl(index, i32.const(3))),
      );
      entry.set(i64.load(entryAt.get));
      b.when(i64.eqz(i64.and(entry.get, i64.const(PTE.present))), () => fail(VECTOR.pageFault, errorCode(0)));
      b.when(i64.ne(i64.and(entry.get, i64.load(context, SYSTEM.pteReserved)), i64.const(0)), reserved);
      rights.set(i64.and(rights.get, entry.get));
      noExecute.set(i64.or(noExecute.get, entry.get));
      leave(i64.eq(shift.get, i64.const(12)));
      b.when(i64.ne(i64.and(entry.get, i64.const(PTE.large)), i64.const(0)), () => {
        b.when(i64.eq(shift.get, i64.const(39)), reserved);
        // Bits between PAT (12) and the frame are reserved in large pages
        const low = i64.and(entry.get, i64.and(levelMask, i64.const(0xffff_e000n)));
        b.when(i64.ne(low, i64.const(0)), reserved);
        leave();
      });
      b.when(i64.eqz(i64.and(entry.get, i64.const(PTE.accessed))), () =>
        storeEntry(i64.or(entry.get, i64.const(PTE.accessed))),
      );
      table.set(i64.and(entry.get, i64.const(FRAME_BITS)));
      shift.set(i64.sub(shift.get, i64.const(9)));
    });
    const lacks = (flag: number): Code => i64.eqz(i64.and(rights.get, i64.const(flag)));
    const forbidden = i32.or(
      i32.or(i32.and(isUser, lacks(PTE.user)), i32.and(i32.and(isWrite, lacks(PTE.write)), isProtected)),
      i32.and(isExecute, i64.ne(i64.and(noExecute.get, i64.const(NO_EXECUTE)), i64.const(0))),
    );
    b.when(forbidden, () => fail(VECTOR.pageFault, errorCode(PAGE_FAULT.present)));
    const physical = b.let('i64', i64.or(
      i64.and(i64.and(entry.get, i64.const(FRAME_BITS)), i64.xor(levelMask, i64.const(-1))),
      i64.and(linear, levelMask),
    )); // prettier-ignore
    b.when(i64.ge_u(physical, i64.const(memoryBytes)), reserved);
    const used = select(isWrite, i64.const(PTE.accessed | PTE.dirty), i64.const(PTE.accessed));
    const marked = b.let('i64', i64.or(entry.get, used));
    b.when(i64.ne(marked, entry.get), () => storeEntry(marked));
    const host = b.let('i32', i32.add(i32.wrap_i64(physical), i32.const(RAM_BASE)));
    b.when(isExecute, () => b.emit(ret(host)));
    const page = b.let('i64', i64.and(linear, i64.const(-4096)));
    const slotIndex = i32.and(i32.wrap_i64(i64.shr_u(linear, i64.const(12))), i32.const(TLB_ENTRIES - 1));
    const slot = b.let('i32', i32.add(context, i32.shl(slotIndex, i32.const(4))));
    const strict = b.let('i32', isStrict(b));
    const fill = (tlb: number): void => {
      b.when(i32.eqz(strict), () => {
        b.emit(i64.store(slot, page, tlb));
        b.emit(i32.store(slot, i32.sub(host, i32.wrap_i64(linear)), tlb + 8));
      });
    };
    fill(CONTEXT.tlbRead);
    b.when(isWrite, () => {
      const frame = b.let('i32', i32.wrap_i64(i64.shr_u(physical, i64.const(12))));
      const code = i32.load16_u(i32.add(i32.const(FRAME_CODE_BASE), i32.shl(frame, i32.const(1))));
      // Translated code and a write TLB entry never exist together for a frame
      b.when(code, () => b.emit(call('dropCode', frame)));
      fill(CONTEXT.tlbWrite);
    });
    return host;
  });
}

/** #AC(0) by size (SDM 3A 6.15, table 6-7): vectors are not checked, environments of the x87 like their words. */
function checkAlignment(b: Body, linear: Code, size: Code, isCanonical: Code): void {
  const isOf = (...sizes: number[]): Code =>
    sizes.reduce<Code>((any, one) => i32.or(any, i32.eq(size, i32.const(one))), i32.const(0));
  const rest = select(isOf(8, 10), i32.const(7), select(isOf(4, 28, 108), i32.const(3), isOf(2, 14, 94)));
  const isOn = i32.and(
    isCanonical,
    i64.ne(i64.and(i64.load(b.context, SYSTEM.cr0), i64.const(ALIGNMENT_CHECK)), i64.const(0)),
  );
  b.when(i32.and(isOn, i32.ne(i32.and(i32.wrap_i64(linear), rest), i32.const(0))), () => {
    b.emit(i32.store(b.context, i32.const(VECTOR.alignmentCheck), CONTEXT.trapVector));
    b.emit(i32.store(b.context, i32.const(0), CONTEXT.trapError));
    b.emit(ret(i32.const(0)));
  });
}

function emitSlow(name: string, access: 0 | 1, scratchOffset: number): FunctionCode {
  return functionOf(name, ['i32', 'i64', 'i32'], 'i32', (b, context, linear, size) => {
    // The end must be canonical before anything else is looked at; then comes alignment, before pages
    const last = b.let('i64', i64.add(linear, i64.extend_i32_u(i32.sub(size, i32.const(1)))));
    const isCanonical = (address: Code): Code =>
      i64.eq(i64.shr_s(i64.shl(address, i64.const(16)), i64.const(16)), address);
    b.when(i32.eqz(isCanonical(last)), () => b.emit(ret(call('walk', context, last, i32.const(access)))));
    b.when(isStrict(b), () => checkAlignment(b, linear, size, isCanonical(linear)));
    const inPage = i32.and(i32.wrap_i64(linear), i32.const(4095));
    const first = b.let('i32', i32.sub(i32.const(4096), inPage));
    b.when(i32.le_u(size, first), () => b.emit(ret(call('walk', context, linear, i32.const(access)))));
    const low = b.let('i32', call('walk', context, linear, i32.const(access)));
    b.when(i32.eqz(low), () => b.emit(ret(i32.const(0))));
    const nextPage = i64.add(linear, i64.extend_i32_u(first));
    const high = b.let('i32', call('walk', context, nextPage, i32.const(access)));
    b.when(i32.eqz(high), () => b.emit(ret(i32.const(0))));
    const scratch = b.let('i32', i32.add(context, i32.const(scratchOffset)));
    b.emit(memory.copy(scratch, low, first));
    b.emit(memory.copy(i32.add(scratch, first), high, i32.sub(size, first)));
    if (access === 1) {
      b.emit(i32.store(context, low, CONTEXT.cross));
      b.emit(i32.store(context, high, CONTEXT.cross + 4));
      b.emit(i32.store(context, first, CONTEXT.cross + 8));
      b.emit(i32.store(context, size, CONTEXT.cross + 12));
    }
    return scratch;
  });
}

/** hostRead / hostWrite(context, linear, size): TLB hit or slow path, as handlers have it inline; for helpers. */
function emitHost(name: string, tlb: number, slow: string): FunctionCode {
  return functionOf(name, ['i32', 'i64', 'i32'], 'i32', (b, context, linear, size) => {
    const index = i32.and(i32.wrap_i64(i64.shr_u(linear, i64.const(12))), i32.const(TLB_ENTRIES - 1));
    const entry = b.let('i32', i32.add(context, i32.shl(index, i32.const(4))));
    const last = i64.add(linear, i64.extend_i32_u(i32.sub(size, i32.const(1))));
    b.when(i64.eq(i64.load(entry, tlb), i64.and(last, i64.const(-4096))), () =>
      b.emit(ret(i32.add(i32.load(entry, tlb + 8), i32.wrap_i64(linear)))),
    );
    return call(slow, context, linear, size);
  });
}

function emitWriteBack(): FunctionCode {
  return functionOf('writeBack', ['i32'], undefined, (b, context) => {
    const scratch = b.let('i32', i32.add(context, i32.const(CONTEXT.writeScratch)));
    const first = b.let('i32', i32.load(context, CONTEXT.cross + 8));
    b.emit(memory.copy(i32.load(context, CONTEXT.cross), scratch, first));
    const rest = i32.sub(i32.load(context, CONTEXT.cross + 12), first);
    b.emit(memory.copy(i32.load(context, CONTEXT.cross + 4), i32.add(scratch, first), rest));
    return [];
  });
}

/**
 * fetchCode(context, linear): the code slot of a page that is to execute, put into the execute TLB; 0 if it has none yet
 * or may not execute (TypeScript finds out which).
 */
function emitFetchCode(): FunctionCode {
  return functionOf('fetchCode', ['i32', 'i64'], 'i32', (b, context, linear) => {
    const host = b.let('i32', call('walk', context, linear, i32.const(2)));
    b.when(i32.eqz(host), () => b.emit(ret(i32.const(0))));
    const frame = i32.shr_u(i32.sub(host, i32.const(RAM_BASE)), i32.const(12));
    const code = i32.load16_u(i32.add(i32.const(FRAME_CODE_BASE), i32.shl(frame, i32.const(1))));
    const slot = b.let('i32', code);
    b.when(i32.eqz(slot), () => b.emit(ret(i32.const(0))));
    const index = i32.and(i32.wrap_i64(i64.shr_u(linear, i64.const(12))), i32.const(TLB_ENTRIES - 1));
    const entry = b.let('i32', i32.add(context, i32.shl(index, i32.const(4))));
    const past = i32.mul(i32.sub(slot, i32.const(1)), i32.const(CODE_SLOT_BYTES));
    const address = b.let('i32', i32.add(i32.const(CODE_BASE), past));
    b.emit(i64.store(entry, i64.and(linear, i64.const(-4096)), CONTEXT.tlbExecute));
    b.emit(i32.store(entry, address, CONTEXT.tlbExecute + 8));
    return address;
  });
}

/** translate(context, low, high, access): for TypeScript, which has no cheap i64; host address or 0. */
function emitTranslate(): FunctionCode {
  return functionOf('translate', ['i32', 'i32', 'i32', 'i32'], 'i32', (b, context, low, high, access) => {
    const linear = b.let(
      'i64',
      i64.or(i64.extend_i32_u(low), i64.shl(i64.extend_i32_u(high), i64.const(32))),
    );
    const one = i32.const(1);
    b.when(i32.eqz(access), () => b.emit(ret(call('hostRead', context, linear, one))));
    b.when(i32.eq(access, one), () => b.emit(ret(call('hostWrite', context, linear, one))));
    return call('walk', context, linear, access);
  });
}

export function mmuFunctions(memoryBytes: number): FunctionCode[] {
  return [
    emitWalk(memoryBytes),
    emitSlow('readSlow', 0, CONTEXT.readScratch),
    emitSlow('writeSlow', 1, CONTEXT.writeScratch),
    emitWriteBack(),
    emitHost('hostRead', CONTEXT.tlbRead, 'readSlow'),
    emitHost('hostWrite', CONTEXT.tlbWrite, 'writeSlow'),
    emitFetchCode(),
    emitTranslate(),
  ];
}
