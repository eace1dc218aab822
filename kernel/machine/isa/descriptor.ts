// Descriptors: where they are, and the checks that loading a selector makes (SDM 3A 3.4, 5.2 to 5.6). Tables are read
// with supervisor rights whatever the CPL.
//
// Until the first LGDT a CPU has Linux's descriptors (GDT_ENTRY of asm/segment.h) without a table in guest memory,
// as the kernel that runs outside needs none.

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, ret, select } from '../exec/wasm.ts';
import { CONTEXT, SYSTEM, TLB_BYTES, TLB_ENTRIES } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import type { Helper } from './declare.ts';
import { HELPER, SEGMENT, cpuNumberOf, failIf, fieldOf, holdInterruptsOff, passFault, selectorOf, wordOf } from "./system-support.ts"; // prettier-ignore

const LINUX_DESCRIPTORS: readonly (readonly [selector: number, descriptor: bigint])[] = [
  [0x08, 0x00cf_9b00_0000_ffffn], // 32-bit kernel code
  [0x10, 0x00af_9b00_0000_ffffn], // kernel code
  [0x18, 0x00cf_9300_0000_ffffn], // kernel data
  [0x20, 0x00cf_fb00_0000_ffffn], // 32-bit user code
  [0x28, 0x00cf_f300_0000_ffffn], // user data
  [0x30, 0x00af_fb00_0000_ffffn], // user code
];
/** Its limit is the CPU's number: LSL is the vDSO's way to find that out. */
const CPU_NUMBER_SELECTOR = 0x78;
const CPU_NUMBER_DESCRIPTOR = 0x0040_f500_0000_0000n;

/** What `descriptor` returns. */
export const FOUND = { yes: 0, outside: 1, fault: 2 } as const;

/** Bits 40 to 55 of a descriptor: type 0…3, S 4, DPL 5…6, P 7, L 13, D 14, G 15. */
export const attributesOf = (low: Code): Code =>
  i32.and(i32.wrap_i64(i64.shr_u(low, i64.const(40))), i32.const(0xffff));
export const ATTRIBUTE = { P: 0x80, L: 0x2000, D: 0x4000, G: 0x8000 } as const;
export const dplOf = (attributes: Code): Code => i32.and(i32.shr_u(attributes, i32.const(5)), i32.const(3));
const matching = (attributes: Code, mask: number, value: number): Code =>
  i32.eq(i32.and(attributes, i32.const(mask)), i32.const(value));
export const isSystem = (attributes: Code): Code => matching(attributes, 0x10, 0);
export const isCode = (attributes: Code): Code => matching(attributes, 0x18, 0x18);
const isData = (attributes: Code): Code => matching(attributes, 0x18, 0x10);
export const isConformingCode = (attributes: Code): Code => matching(attributes, 0x1c, 0x1c);
export const isReadableCode = (attributes: Code): Code => matching(attributes, 0x1a, 0x1a);
export const isReadable = (attributes: Code): Code => i32.or(isData(attributes), isReadableCode(attributes));
export const isWritable = (attributes: Code): Code => matching(attributes, 0x1a, 0x12);
export const isAbsent = (attributes: Code): Code => i32.eqz(i32.and(attributes, i32.const(ATTRIBUTE.P)));
export const typeOf = (attributes: Code): Code => i32.and(attributes, i32.const(15));

/** 32 bits. */
export const baseOf = (low: Code): Code =>
  i64.or(
    i64.and(i64.shr_u(low, i64.const(16)), i64.const(0xff_ffff)),
    i64.shl(i64.shr_u(low, i64.const(56)), i64.const(24)),
  );
/** The last valid offset, i32. */
export function limitOf(f: Emitter, low: Code): Code {
  const high = i64.and(i64.shr_u(low, i64.const(32)), i64.const(0xf_0000));
  const raw = f.let('i32', i32.wrap_i64(i64.or(i64.and(low, i64.const(0xffff)), high)));
  const pages = i32.or(i32.shl(raw, i32.const(12)), i32.const(0xfff));
  return f.let('i32', select(i32.and(attributesOf(low), i32.const(ATTRIBUTE.G)), pages, raw));
}

export const rplOf = (selector: Code): Code => i32.and(selector, i32.const(3));
export const isNull = (selector: Code): Code => i32.lt_u(selector, i32.const(4));
export const errorOf = (selector: Code): Code => i32.and(selector, i32.const(0xfffc));
const isLocal = (selector: Code): Code => i32.and(selector, i32.const(4));
export const lowOf = (f: Emitter): Code => i64.load(f.context, CONTEXT.scratch);
export const highOf = (f: Emitter): Code => i64.load(f.context, CONTEXT.scratch + 8);

/** systemHost(context, linear, size, access): like hostRead and hostWrite, with supervisor rights; 0 if it faults. */
const systemHost: Helper = {
  name: 'systemHost',
  parameters: ['i32', 'i64', 'i32', 'i32'],
  result: 'i32',
  emit(f, context, linear, size, access) {
    const cpl = f.let('i32', f.get('cpl'));
    const host = f.variable('i32');
    f.set('cpl', i32.const(0));
    f.when(
      access,
      () => host.set(f.call('writeSlow', context, linear, size)),
      () => host.set(f.call('readSlow', context, linear, size)),
    );
    f.set('cpl', cpl);
    f.when(cpl, () => {
      // The walk has filled TLB entries that user code must not find
      const last = f.let('i64', i64.add(linear, i64.extend_i32_u(i32.sub(size, i32.const(1)))));
      for (const address of [linear, last]) {
        const index = i32.and(i32.wrap_i64(i64.shr_u(address, i64.const(12))), i32.const(TLB_ENTRIES - 1));
        const entry = f.let('i32', i32.add(context, i32.shl(index, i32.const(4))));
        for (let tlb = 0; tlb < 2; tlb++)
          f.emit(i64.store(entry, i64.const(-1), CONTEXT.tlbRead + tlb * TLB_BYTES));
      }
    });
    return host.get;
  },
};

/** Linear address of a selector's descriptor; `limit` gets the table's limit. */
function placeOf(f: Emitter, selector: Code): { linear: Code; limit: Code } {
  const local = isLocal(selector);
  const base = select(local, fieldOf(f, SYSTEM.ldtBase), fieldOf(f, SYSTEM.gdtBase));
  const limit = select(local, wordOf(f, SYSTEM.ldtLimit), wordOf(f, SYSTEM.gdtLimit));
  const offset = i64.extend_i32_u(i32.and(selector, i32.const(0xfff8)));
  return { linear: f.let('i64', i64.add(base, offset)), limit: f.let('i32', limit) };
}
const isBuiltIn = (f: Emitter, selector: Code): Code =>
  i32.eqz(i32.or(isLocal(selector), wordOf(f, SYSTEM.gdtLoaded)));

/** descriptor(context, selector, 8 or 16 bytes) → FOUND; the descriptor is then in lowOf and highOf. */
const descriptor: Helper = {
  name: 'descriptor',
  parameters: ['i32', 'i32', 'i32'],
  result: 'i32',
  emit(f, context, selector, size) {
    f.emit(i64.store(context, i64.const(0), CONTEXT.scratch + 8));
    f.when(isBuiltIn(f, selector), () => {
      const low = f.variable('i64');
      low.set(i64.const(0));
      const index = f.let('i32', i32.and(selector, i32.const(0xfff8)));
      for (const [known, value] of LINUX_DESCRIPTORS)
        f.when(i32.eq(index, i32.const(known)), () => low.set(i64.const(value)));
      f.when(i32.eq(index, i32.const(CPU_NUMBER_SELECTOR)), () =>
        low.set(i64.or(i64.const(CPU_NUMBER_DESCRIPTOR), i64.extend_i32_u(cpuNumberOf(f)))),
      );
      f.emit(i64.store(context, low.get, CONTEXT.scratch));
      f.emit(ret(i64.eqz(low.get)));
    });
    const { linear, limit } = placeOf(f, selector);
    const last = i32.add(i32.and(selector, i32.const(0xfff8)), i32.sub(size, i32.const(1)));
    f.when(i32.gt_u(last, limit), () => f.emit(ret(i32.const(FOUND.outside))));
    const host = f.let('i32', f.call('systemHost', context, linear, size, i32.const(0)));
    f.when(i32.eqz(host), () => f.emit(ret(i32.const(FOUND.fault))));
    f.emit(i64.store(context, i64.load(host), CONTEXT.scratch));
    f.when(i32.gt_u(size, i32.const(8)), () =>
      f.emit(i64.store(context, i64.load(host, 8), CONTEXT.scratch + 8)),
    );
    return i32.const(FOUND.yes);
  },
};

/** setDescriptorType(context, selector, bits): sets bits of the type (accessed, busy) in the table. */
const setDescriptorType: Helper = {
  name: 'setDescriptorType',
  parameters: ['i32', 'i32', 'i32'],
  result: 'i32',
  emit(f, context, selector, bits) {
    f.when(isBuiltIn(f, selector), () => f.emit(ret(i32.const(HELPER.done))));
    const { linear } = placeOf(f, selector);
    const type = i64.add(linear, i64.const(5));
    const host = f.let('i32', f.call('systemHost', context, type, i32.const(1), i32.const(1)));
    passFault(f, i32.eqz(host));
    f.emit(i32.store8(host, i32.or(i32.load8_u(host), bits)));
    return i32.const(HELPER.done);
  },
};

/** Fetches the descriptor of a selector that is not null, or #GP(selector); gives its low half and attributes. */
export function fetch(f: Emitter, selector: Code, size: 8 | 16 = 8): { low: Code; attributes: Code } {
  const found = f.let('i32', f.call('descriptor', f.context, selector, i32.const(size)));
  passFault(f, i32.eq(found, i32.const(FOUND.fault)));
  failIf(f, found, VECTOR.generalProtection, errorOf(selector));
  const low = f.let('i64', lowOf(f));
  return { low, attributes: f.let('i32', attributesOf(low)) };
}
export function markAccessed(f: Emitter, selector: Code, attributes: Code): void {
  f.when(i32.eqz(i32.and(attributes, i32.const(1))), () =>
    passFault(f, f.call('setDescriptorType', f.context, selector, i32.const(1))),
  );
}

/** checkStack(context, selector, rpl, vector of "not present" aside): may SS be this at privilege `rpl`? */
const checkStack: Helper = {
  name: 'checkStack',
  parameters: ['i32', 'i32', 'i32'],
  result: 'i32',
  emit(f, _context, selector, privilege) {
    const wrongRpl = i32.ne(rplOf(selector), privilege);
    f.when(isNull(selector), () => {
      // SDM 2A MOV: a null SS only below CPL 3, in 64-bit mode
      failIf(f, i32.or(i32.eq(privilege, i32.const(3)), wrongRpl), VECTOR.generalProtection);
      f.emit(ret(i32.const(HELPER.done)));
    });
    const error = errorOf(selector);
    failIf(f, wrongRpl, VECTOR.generalProtection, error);
    const { attributes } = fetch(f, selector);
    const wrong = i32.or(i32.eqz(isWritable(attributes)), i32.ne(dplOf(attributes), privilege));
    failIf(f, wrong, VECTOR.generalProtection, error);
    failIf(f, isAbsent(attributes), VECTOR.stackFault, error);
    markAccessed(f, selector, attributes);
    return i32.const(HELPER.done);
  },
};

/** loadSegment(context, number of ES SS DS FS or GS, selector): MOV, POP, LSS and the like. */
const loadSegment: Helper = {
  name: 'loadSegment',
  parameters: ['i32', 'i32', 'i32'],
  result: 'i32',
  emit(f, context, segment, selector) {
    const base = f.variable('i64');
    base.set(i64.const(0));
    const isStack = f.let('i32', i32.eq(segment, i32.const(SEGMENT.ss)));
    f.when(isStack, () => {
      passFault(f, f.call('checkStack', context, selector, f.get('cpl')));
      holdInterruptsOff(f);
    });
    f.when(i32.eqz(i32.or(isStack, isNull(selector))), () => {
      const error = errorOf(selector);
      const { low, attributes } = fetch(f, selector);
      failIf(f, i32.eqz(isReadable(attributes)), VECTOR.generalProtection, error);
      const dpl = f.let('i32', dplOf(attributes));
      const tooLow = i32.or(i32.gt_u(rplOf(selector), dpl), i32.gt_u(f.get('cpl'), dpl));
      failIf(f, i32.and(i32.eqz(isConformingCode(attributes)), tooLow), VECTOR.generalProtection, error);
      failIf(f, isAbsent(attributes), VECTOR.segmentNotPresent, error);
      markAccessed(f, selector, attributes);
      base.set(baseOf(low));
    });
    const place = i32.add(context, i32.shl(segment, i32.const(1)));
    f.emit(i32.store16(place, selector, CONTEXT.selectors));
    // A null selector clears the base, as Intel's CPUs do
    f.when(i32.eq(segment, i32.const(SEGMENT.fs)), () => f.set('fsBase', base.get));
    f.when(i32.eq(segment, i32.const(SEGMENT.gs)), () => f.set('gsBase', base.get));
    return i32.const(HELPER.done);
  },
};

/** checkCode(context, selector, isReturn): may control go there? Returns are to RPL, CALL and JMP stay at CPL. */
const checkCode: Helper = {
  name: 'checkCode',
  parameters: ['i32', 'i32', 'i32'],
  result: 'i32',
  emit(f, _context, selector, isReturn) {
    failIf(f, isNull(selector), VECTOR.generalProtection);
    const error = errorOf(selector);
    const { attributes } = fetch(f, selector);
    failIf(f, i32.eqz(isCode(attributes)), VECTOR.generalProtection, error);
    const cpl = f.let('i32', f.get('cpl'));
    const rpl = f.let('i32', rplOf(selector));
    const dpl = f.let('i32', dplOf(attributes));
    const conforming = f.let('i32', isConformingCode(attributes));
    const level = f.let('i32', select(isReturn, rpl, cpl));
    failIf(f, i32.and(isReturn, i32.lt_u(rpl, cpl)), VECTOR.generalProtection, error);
    const wrong = select(conforming, i32.gt_u(dpl, level), i32.ne(dpl, level));
    failIf(f, wrong, VECTOR.generalProtection, error);
    const rplTooLow = i32.and(i32.gt_u(rpl, cpl), i32.eqz(i32.or(isReturn, conforming)));
    failIf(f, rplTooLow, VECTOR.generalProtection, error);
    failIf(f, isAbsent(attributes), VECTOR.segmentNotPresent, error);
    // 64-bit code only: L without D
    const mode = i32.and(attributes, i32.const(ATTRIBUTE.L | ATTRIBUTE.D));
    failIf(f, i32.ne(mode, i32.const(ATTRIBUTE.L)), VECTOR.generalProtection, error);
    markAccessed(f, selector, attributes);
    return i32.const(HELPER.done);
  },
};

/**
 * setPrivilege(context, CS, SS): after all checks of a return. On the way to less privilege data segments that would be
 * too privileged there become null (SDM 3A 5.8.6).
 */
const setPrivilege: Helper = {
  name: 'setPrivilege',
  parameters: ['i32', 'i32', 'i32'],
  emit(f, context, code, stack) {
    const privilege = f.let('i32', rplOf(code));
    f.when(i32.gt_u(privilege, f.get('cpl')), () => {
      for (const segment of [SEGMENT.es, SEGMENT.ds, SEGMENT.fs, SEGMENT.gs]) {
        const selector = f.let('i32', selectorOf(f, segment));
        f.when(i32.eqz(isNull(selector)), () => {
          const missing = f.let('i32', f.call('descriptor', context, selector, i32.const(8)));
          const attributes = f.let('i32', attributesOf(lowOf(f)));
          const hidden = i32.and(
            i32.eqz(isConformingCode(attributes)),
            i32.lt_u(dplOf(attributes), privilege),
          );
          f.when(i32.or(i32.ne(missing, i32.const(FOUND.yes)), hidden), () => {
            f.emit(i32.store16(context, i32.const(0), CONTEXT.selectors + segment * 2));
            if (segment === SEGMENT.fs) f.set('fsBase', i64.const(0));
            if (segment === SEGMENT.gs) f.set('gsBase', i64.const(0));
          });
        });
      }
    });
    f.emit(i32.store16(context, code, CONTEXT.selectors + SEGMENT.cs * 2));
    f.emit(i32.store16(context, stack, CONTEXT.selectors + SEGMENT.ss * 2));
    f.set('cpl', privilege);
  },
};

export const descriptorHelpers: readonly Helper[] = [
  systemHost,
  descriptor,
  setDescriptorType,
  checkStack,
  loadSegment,
  checkCode,
  setPrivilege,
];
