// Segment registers: selectors in and out, far pointers. In 64-bit mode only FS and GS have a base.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import { CONTEXT } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import type { Family, Instruction } from './declare.ts';
import { instruction } from './declare.ts';
import { descriptorHelpers } from './descriptor.ts';
import { SEGMENT, selectorOf } from './system-support.ts';

const RSP = 4;

function load(e: InstructionEmitter, segment: Code, selector: Code): void {
  const low = i32.and(i32.wrap_i64(selector), i32.const(0xffff));
  e.faultIf(e.call('loadSegment', e.context, segment, low));
}

/** A register takes the operand size (zero-extended), memory 16 bits. */
const movFrom = instruction({
  mnemonic: 'mov',
  source: 'SDM vol. 2B, MOV',
  forms: [['8C /r', 'RvMw,Sw']],
  emit(e, target) {
    e.raiseIf(i32.gt_u(e.regField(), i32.const(SEGMENT.gs)), VECTOR.invalidOpcode);
    const place = i32.add(e.context, i32.shl(e.regField(), i32.const(1)));
    e.write(target, i64.load16_u(place, CONTEXT.selectors));
  },
});

const movTo = instruction({
  mnemonic: 'mov',
  source: 'SDM vol. 2B, MOV',
  forms: [['8E /r', 'Sw,Ew']],
  emit(e, _target, source) {
    const segment = e.let('i32', e.regField());
    const isCs = i32.eq(segment, i32.const(SEGMENT.cs));
    e.raiseIf(i32.or(isCs, i32.gt_u(segment, i32.const(SEGMENT.gs))), VECTOR.invalidOpcode);
    load(e, segment, e.read(source));
  },
});

function stackMoves(name: 'fs' | 'gs', pushOpcode: string, popOpcode: string): Instruction[] {
  const push = instruction({
    mnemonic: `push ${name}`,
    source: 'SDM vol. 2B, PUSH',
    forms: [[pushOpcode, '', 'd64 v']],
    emit: (e) => e.push(i64.extend_i32_u(selectorOf(e, SEGMENT[name]))),
  });
  const pop = instruction({
    mnemonic: `pop ${name}`,
    source: 'SDM vol. 2B, POP',
    forms: [[popOpcode, '', 'd64 v']],
    emit(e) {
      const value = e.top();
      load(e, i32.const(SEGMENT[name]), value);
      e.setRegister(RSP, e.add(e.register(RSP), i64.const(e.size)));
    },
  });
  return [push, pop];
}

function farPointer(name: 'ss' | 'fs' | 'gs', opcode: string): Instruction {
  return instruction({
    mnemonic: `l${name}`,
    source: 'SDM vol. 2A, LDS/LES/LFS/LGS/LSS',
    forms: [[opcode, 'Gv,Mv']],
    emit(e, target, pointer) {
      const host = e.hostAt(e.address(pointer), e.size + 2, 'read');
      const bytes = { 1: i64.load8_u, 2: i64.load16_u, 4: i64.load32_u, 8: i64.load } as const;
      const offset = e.let('i64', bytes[e.size === 2 ? 2 : e.size === 4 ? 4 : 8](host));
      const selector = e.let('i64', i64.load16_u(host, e.size));
      load(e, i32.const(SEGMENT[name]), selector);
      e.write(target, offset);
    },
  });
}

export const segment: Family = {
  helpers: descriptorHelpers,
  instructions: [
    movFrom,
    movTo,
    ...stackMoves('fs', '0F A0', '0F A1'),
    ...stackMoves('gs', '0F A8', '0F A9'),
    farPointer('ss', '0F B2 /r'),
    farPointer('fs', '0F B4 /r'),
    farPointer('gs', '0F B5 /r'),
  ],
};
