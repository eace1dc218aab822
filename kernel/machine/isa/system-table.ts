// Descriptor-table registers, and questions about selectors (SDM 3A 2.4, 5.10). SGDT and its like are open to user code,
// as there is no UMIP.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import { SYSTEM } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import type { Family, Helper, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import * as descriptors from './descriptor.ts';
import { FOUND, attributesOf, errorOf, isNull } from './descriptor.ts';
import { HELPER, failIf, fieldOf, isNotCanonical, passFault, setField, setWord, wordOf } from './system-support.ts'; // prettier-ignore

const TABLES = {
  gdt: { base: SYSTEM.gdtBase, limit: SYSTEM.gdtLimit },
  idt: { base: SYSTEM.idtBase, limit: SYSTEM.idtLimit },
} as const;
const TABLE_BYTES = 10; // limit, then base

function storeTable(name: 'gdt' | 'idt', encoding: string): Instruction {
  return instruction({
    mnemonic: `s${name}`,
    source: `SDM vol. 2B, S${name.toUpperCase()}`,
    forms: [[encoding, 'M']],
    emit(e, target) {
      const host = e.hostAt(e.address(target), TABLE_BYTES, 'write');
      e.emit(i32.store16(host, wordOf(e, TABLES[name].limit)));
      e.emit(i64.store(host, fieldOf(e, TABLES[name].base), 2));
      e.doneAt(host);
    },
  });
}

function loadTable(name: 'gdt' | 'idt', encoding: string, missing?: string): Instruction {
  return instruction({
    mnemonic: `l${name}`,
    source: 'SDM vol. 2A, LGDT/LIDT',
    forms: [[encoding, 'M']],
    ...(missing === undefined ? {} : { missing }),
    emit(e, source) {
      e.privileged();
      const host = e.hostAt(e.address(source), TABLE_BYTES, 'read');
      const base = e.let('i64', i64.load(host, 2));
      e.raiseIf(isNotCanonical(base), VECTOR.generalProtection);
      setWord(e, TABLES[name].limit, i32.load16_u(host));
      setField(e, TABLES[name].base, base);
      if (name === 'gdt') setWord(e, SYSTEM.gdtLoaded, i32.const(1));
    },
  });
}

function storeSelector(mnemonic: string, encoding: string, field: number): Instruction {
  return instruction({
    mnemonic,
    source: `SDM vol. 2B, ${mnemonic.toUpperCase()}`,
    forms: [[encoding, 'RvMw']],
    emit: (e, target) => e.write(target, e.let('i64', i64.extend_i32_u(wordOf(e, field)))),
  });
}

const TYPE = { ldt: 2, availableTss: 9, busyTss: 11, callGate: 12 } as const;
/** Bits 8 to 12 of a system descriptor's last four bytes are 0 in 64-bit mode. */
const UPPER_TYPE = 0x1f00n << 32n;

/** What LLDT and LTR share: a 16-byte descriptor of one type from the GDT. */
function fetchSystem(f: Emitter, selector: Code, type: number): { base: Code; limit: Code } {
  const error = errorOf(selector);
  failIf(f, i32.and(selector, i32.const(4)), VECTOR.generalProtection, error);
  const { low, attributes } = descriptors.fetch(f, selector, 16);
  const high = f.let('i64', descriptors.highOf(f));
  const isOther = i32.ne(i32.and(attributes, i32.const(0x1f)), i32.const(type));
  const isOdd = i64.ne(i64.and(high, i64.const(UPPER_TYPE)), i64.const(0));
  failIf(f, i32.or(isOther, isOdd), VECTOR.generalProtection, error);
  failIf(f, descriptors.isAbsent(attributes), VECTOR.segmentNotPresent, error);
  const base = f.let('i64', i64.or(descriptors.baseOf(low), i64.shl(high, i64.const(32))));
  failIf(f, isNotCanonical(base), VECTOR.generalProtection, error);
  return { base, limit: descriptors.limitOf(f, low) };
}

const loadLdt: Helper = {
  name: 'loadLdt',
  parameters: ['i32', 'i32'],
  result: 'i32',
  emit(f, _context, selector) {
    const base = f.variable('i64');
    const limit = f.variable('i32');
    base.set(i64.const(0));
    limit.set(i32.const(0)); // no descriptor fits in
    f.when(i32.eqz(isNull(selector)), () => {
      const found = fetchSystem(f, selector, TYPE.ldt);
      base.set(found.base);
      limit.set(found.limit);
    });
    setWord(f, SYSTEM.ldtSelector, selector);
    setField(f, SYSTEM.ldtBase, base.get);
    setWord(f, SYSTEM.ldtLimit, limit.get);
    return i32.const(HELPER.done);
  },
};

const loadTask: Helper = {
  name: 'loadTask',
  parameters: ['i32', 'i32'],
  result: 'i32',
  emit(f, context, selector) {
    failIf(f, isNull(selector), VECTOR.generalProtection);
    const { base, limit } = fetchSystem(f, selector, TYPE.availableTss);
    const busy = i32.const(TYPE.busyTss & ~TYPE.availableTss);
    passFault(f, f.call('setDescriptorType', context, selector, busy));
    setWord(f, SYSTEM.tssSelector, selector);
    setField(f, SYSTEM.tssBase, base);
    setWord(f, SYSTEM.tssLimit, limit);
    return i32.const(HELPER.done);
  },
};

function loadSelector(mnemonic: string, encoding: string, helper: string): Instruction {
  return instruction({
    mnemonic,
    source: `SDM vol. 2A, ${mnemonic.toUpperCase()}`,
    forms: [[encoding, 'Ew']],
    emit(e, source) {
      e.privileged();
      e.faultIf(e.call(helper, e.context, i32.wrap_i64(e.read(source))));
    },
  });
}

/** Finds a selector's descriptor; runs `then` if CPL and RPL may see it, which clears or sets ZF. */
function query(
  e: InstructionEmitter,
  operand: Operand,
  systemTypes: readonly number[],
  then: (low: Code, attributes: Code) => Code,
): void {
  const selector = e.let('i32', i32.and(i32.wrap_i64(e.read(operand)), i32.const(0xffff)));
  const seen = e.variable('i32');
  seen.set(i32.const(0));
  e.when(i32.eqz(isNull(selector)), () => {
    const found = e.let('i32', e.call('descriptor', e.context, selector, i32.const(8)));
    e.faultIf(i32.eq(found, i32.const(FOUND.fault)));
    e.when(i32.eqz(found), () => {
      const low = e.let('i64', descriptors.lowOf(e));
      const attributes = e.let('i32', attributesOf(low));
      const dpl = e.let('i32', descriptors.dplOf(attributes));
      const tooLow = i32.or(i32.gt_u(descriptors.rplOf(selector), dpl), i32.gt_u(e.get('cpl'), dpl));
      const open = i32.or(descriptors.isConformingCode(attributes), i32.eqz(tooLow));
      const allowed = systemTypes.map((type) => i32.eq(descriptors.typeOf(attributes), i32.const(type)));
      const rightType = allowed.reduce((a, b) => i32.or(a, b), i32.const(0));
      const right = i32.or(rightType, i32.eqz(descriptors.isSystem(attributes)));
      e.when(i32.and(open, right), () => seen.set(then(low, attributes)));
    });
  });
  e.setFlags({ Z: seen.get });
}

const lar = instruction({
  mnemonic: 'lar',
  source: 'SDM vol. 2A, LAR',
  forms: [['0F 02 /r', 'Gv,Ew']],
  writes: 'Z',
  emit(e, target, source) {
    query(e, source, [TYPE.ldt, TYPE.availableTss, TYPE.busyTss, TYPE.callGate], (low) => {
      // Bits 16 to 19, of the limit, are undefined; CPUs show them
      const rights = i64.and(i64.shr_u(low, i64.const(32)), i64.const(0xff_ff00));
      e.write(target, e.let('i64', rights));
      return i32.const(1);
    });
  },
});

const lsl = instruction({
  mnemonic: 'lsl',
  source: 'SDM vol. 2A, LSL',
  forms: [['0F 03 /r', 'Gv,Ew']],
  writes: 'Z',
  emit(e, target, source) {
    query(e, source, [TYPE.ldt, TYPE.availableTss, TYPE.busyTss], (low) => {
      e.write(target, e.let('i64', i64.extend_i32_u(descriptors.limitOf(e, low))));
      return i32.const(1);
    });
  },
});

function verify(mnemonic: string, encoding: string, may: (attributes: Code) => Code): Instruction {
  return instruction({
    mnemonic,
    source: 'SDM vol. 2B, VERR/VERW',
    forms: [[encoding, 'Ew']],
    writes: 'Z',
    emit: (e, source) =>
      query(e, source, [], (_low, attributes) => select(may(attributes), i32.const(1), i32.const(0))),
  });
}

export const systemTable: Family = {
  helpers: [loadLdt, loadTask],
  instructions: [
    storeTable('gdt', '0F 01 /0'),
    storeTable('idt', '0F 01 /1'),
    loadTable('gdt', '0F 01 /2'),
    loadTable('idt', '0F 01 /3', 'gates: interrupts and exceptions leave run() whatever the IDT says'),
    storeSelector('sldt', '0F 00 /0', SYSTEM.ldtSelector),
    storeSelector('str', '0F 00 /1', SYSTEM.tssSelector),
    loadSelector('lldt', '0F 00 /2', 'loadLdt'),
    loadSelector('ltr', '0F 00 /3', 'loadTask'),
    lar,
    lsl,
    verify('verr', '0F 00 /4', descriptors.isReadable),
    verify('verw', '0F 00 /5', descriptors.isWritable),
  ],
};
