// Moves between general registers, memory and immediates, and conversions of width.

import { i64, select } from '../exec/wasm.ts';
import type { Family, Instruction } from './declare.ts';
import { instruction } from './declare.ts';

export const mov = instruction({
  mnemonic: 'mov',
  source: 'SDM vol. 2B, MOV',
  forms: [
    ['88 /r', 'Eb,Gb'],
    ['89 /r', 'Ev,Gv'],
    ['8A /r', 'Gb,Eb'],
    ['8B /r', 'Gv,Ev'],
    ['A0 moffs', 'AL,Ob'],
    ['A1 moffs', 'rAX,Ov'],
    ['A2 moffs', 'Ob,AL'],
    ['A3 moffs', 'Ov,rAX'],
    ['B0+r ib', 'Zb,Ib'],
    ['B8+r iv', 'Zv,Iv'],
    ['C6 /0 ib', 'Eb,Ib'],
    ['C7 /0 iz', 'Ev,Iz'],
  ],
  emit: (e, target, source) => e.write(target, e.read(source)),
});

const movzx = instruction({
  mnemonic: 'movzx',
  source: 'SDM vol. 2B, MOVZX',
  forms: [
    ['0F B6 /r', 'Gv,Eb'],
    ['0F B7 /r', 'Gv,Ew'],
  ],
  emit: (e, target, source) => e.write(target, e.read(source)),
});

const movsx = instruction({
  mnemonic: 'movsx',
  source: 'SDM vol. 2B, MOVSX',
  forms: [
    ['0F BE /r', 'Gv,Eb'],
    ['0F BF /r', 'Gv,Ew'],
  ],
  emit: (e, target, source) => e.write(target, e.readSigned(source)),
});

const movsxd = instruction({
  mnemonic: 'movsxd',
  source: 'SDM vol. 2B, MOVSX/MOVSXD',
  forms: [['63 /r', 'Gv,Ez']],
  emit: (e, target, source) => e.write(target, e.readSigned(source)),
});

const movnti = instruction({
  mnemonic: 'movnti',
  source: 'SDM vol. 2B, MOVNTI',
  forms: [['NP 0F C3 /r', 'My,Gy']],
  feature: 'sse2',
  emit: (e, target, source) => e.write(target, e.read(source)),
});

const lea = instruction({
  mnemonic: 'lea',
  source: 'SDM vol. 2A, LEA',
  forms: [['8D /r', 'Gv,M']],
  emit: (e, target, source) => e.write(target, e.offset(source)),
});

const xchg = instruction({
  mnemonic: 'xchg',
  source: 'SDM vol. 2D, XCHG',
  forms: [
    ['86 /r', 'Eb,Gb', 'lock'],
    ['87 /r', 'Ev,Gv', 'lock'],
    ['90+r', 'Zv,rAX'],
  ],
  emit(e, first, second) {
    const a = e.read(first);
    const b = e.read(second);
    e.write(first, b);
    e.write(second, a);
  },
});

const pause = instruction({
  mnemonic: 'pause',
  source: 'SDM vol. 2B, PAUSE: no XCHG, whatever REX.B says',
  forms: [['F3 90', '']],
  emit: () => undefined,
});

const RAX = 0;
const RDX = 2;

/** cbw, cwde, cdqe by operand size. */
const cbw = instruction({
  mnemonic: 'cbw/cwde/cdqe',
  source: 'SDM vol. 2A, CBW/CWDE/CDQE',
  forms: [['98', '', 'v']],
  emit(e) {
    const half = e.size === 8 ? 4 : e.size === 4 ? 2 : 1;
    e.setRegister(RAX, e.sign(e.register(RAX), half), e.size);
  },
});

const cwd = instruction({
  mnemonic: 'cwd/cdq/cqo',
  source: 'SDM vol. 2A, CWD/CDQ/CQO',
  forms: [['99', '', 'v']],
  emit: (e) => e.setRegister(RDX, i64.shr_s(e.sign(e.register(RAX)), i64.const(63)), e.size),
});

const xlat = instruction({
  mnemonic: 'xlat',
  source: 'SDM vol. 2D, XLAT/XLATB',
  forms: [['D7', '', 'a32']],
  emit(e) {
    const offset = i64.add(e.register(3), e.register(RAX, 1));
    const wrapped = e.address32 ? e.zero(offset, 4) : offset;
    e.setRegister(RAX, e.loadAt(i64.add(e.segmentBase(), wrapped), 1), 1);
  },
});

const CONDITIONS = [
  'o',
  'no',
  'b',
  'ae',
  'e',
  'ne',
  'be',
  'a',
  's',
  'ns',
  'p',
  'np',
  'l',
  'ge',
  'le',
  'g',
] as const;
const opcodeOf = (base: number, code: number): string => (base + code).toString(16).toUpperCase();

const conditional: Instruction[] = CONDITIONS.flatMap((name, code) => [
  instruction({
    mnemonic: `set${name}`,
    source: 'SDM vol. 2B, SETcc',
    forms: [[`0F ${opcodeOf(0x90, code)} /r`, 'Eb']],
    emit: (e, target) => e.write(target, i64.extend_i32_u(e.condition(code))),
  }),
  instruction({
    mnemonic: `cmov${name}`,
    source: 'SDM vol. 2A, CMOVcc: the source is read and a 32-bit register zero-extended in any case',
    forms: [[`0F ${opcodeOf(0x40, code)} /r`, 'Gv,Ev']],
    feature: 'cmov',
    emit(e, target, source) {
      const b = e.read(source);
      e.write(target, select(e.condition(code), b, e.read(target)));
    },
  }),
]);

export const move: Family = {
  instructions: [mov, movzx, movsx, movsxd, movnti, lea, xchg, pause, cbw, cwd, xlat, ...conditional],
};
