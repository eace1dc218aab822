// What must be equal between the two halves of a case, and what the manual leaves undefined.

import type { Case, Result } from './records.ts';
import { PLACE } from './records.ts';

export const FLAG = { C: 1, P: 4, A: 16, Z: 64, S: 128, O: 2048, D: 1024 } as const;
const ALL = 0x8d5;

/** Arithmetic flags that are undefined after an instruction (SDM vol. 2, by mnemonic); shifts depend on the count. */
export const UNDEFINED: Record<string, number> = {
  and: FLAG.A, or: FLAG.A, xor: FLAG.A, test: FLAG.A,
  mul: FLAG.S | FLAG.Z | FLAG.A | FLAG.P, imul: FLAG.S | FLAG.Z | FLAG.A | FLAG.P,
  div: ALL, idiv: ALL,
  bsf: ALL & ~FLAG.Z, bsr: ALL & ~FLAG.Z,
  bt: ALL & ~(FLAG.C | FLAG.Z), bts: ALL & ~(FLAG.C | FLAG.Z), btr: ALL & ~(FLAG.C | FLAG.Z), btc: ALL & ~(FLAG.C | FLAG.Z),
  shl: FLAG.A | FLAG.O, sal: FLAG.A | FLAG.O, shr: FLAG.A | FLAG.O, sar: FLAG.A | FLAG.O,
  rol: FLAG.O, ror: FLAG.O, rcl: FLAG.O, rcr: FLAG.O,
  shld: FLAG.A | FLAG.O, shrd: FLAG.A | FLAG.O,
}; // prettier-ignore

/** The flags that are undefined after this case; undefined itself where the whole result is. */
function undefinedFlags(mnemonic: string, encoding: string, test: Case): number | undefined {
  // 16-bit double shifts by more than 16 leave everything undefined
  if (/^sh[lr]d$/.test(mnemonic) && test.code.includes(0x66)) return undefined;
  const flags = UNDEFINED[mnemonic] ?? 0;
  if (!/^(sh|sa|ro|rc)[lr]d?$/.test(mnemonic)) return flags;
  // By one, overflow is defined; by zero, nothing changes
  let count = Number((test.gpr[1] ?? 0n) & 63n);
  if (/^D[01] /.test(encoding)) count = 1;
  else if (encoding.endsWith(' ib')) count = (test.code[test.code.length - 1] ?? 0) & 63;
  if (count === 0) return 0;
  return count === 1 ? flags & ~FLAG.O : flags;
}

export interface CompareOptions {
  /** Also the last instruction's pointer, data pointer and opcode of the x87. */
  readonly x87Pointers: boolean;
  /** The instruction works on MMX registers. */
  readonly mmx: boolean;
  readonly encoding: string;
}

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
const NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15']; // prettier-ignore

function hexBytes(bytes: Uint8Array, from: number, length: number): string {
  let text = '';
  for (let i = length - 1; i >= 0; i--) text += (bytes[from + i] ?? 0).toString(16).padStart(2, '0');
  return text;
}

/** The differences as lines, native first. Empty: equal. */
export function differences(
  mnemonic: string,
  test: Case,
  native: Result,
  ours: Result,
  options: CompareOptions,
): string[] {
  // prettier-ignore
  const found: string[] = [];
  const check = (what: string, a: bigint | number, b: bigint | number): void => {
    if (a !== b) found.push(`${what}: real ${hex(a)}, ours ${hex(b)}`);
  };
  // Deviation: a non-canonical address through RSP or RBP raises #GP here, not #SS
  const nativeTrap = native.trap === 12 ? 13 : native.trap;
  // A masked store of nothing may fault or not (SDM 2B, MASKMOVDQU)
  if (mnemonic.startsWith('maskmov') && ours.trap === 3 && native.trap !== 3) return found;
  check('trap', nativeTrap, ours.trap);
  check('rip', native.rip - BigInt(PLACE.code), ours.rip - BigInt(PLACE.code));
  if (nativeTrap === ours.trap && native.trap !== 3) {
    const hasError = native.trap === 13 || native.trap === 14 || native.trap === 12;
    // Of kernel addresses the real page tables show whether there is a page
    if (hasError && native.address < 1n << 63n) check('error code', native.error, ours.error);
    // Which byte of a masked store or of a large image is named first is the implementation's choice
    if (!/^(maskmov|fxsave|fxrstor|xsave|xrstor|fnstenv|fldenv|fnsave|frstor)/.test(mnemonic))
      check('cr2', native.address, ours.address);
  }
  const flags = undefinedFlags(mnemonic, options.encoding, test);
  if (flags === undefined) return found;
  for (let i = 0; i < 16; i++) {
    const undefinedTarget = (mnemonic === 'bsf' || mnemonic === 'bsr') && (native.rflags & FLAG.Z) !== 0;
    if (!undefinedTarget) check(NAMES[i] ?? '', native.gpr[i] ?? 0n, ours.gpr[i] ?? 0n);
  }
  const relevant = (ALL | FLAG.D) & ~flags;
  check('flags', native.rflags & relevant, ours.rflags & relevant);
  for (let i = 0; i < 16; i++) {
    const [a, b] = [hexBytes(native.fx, 160 + i * 16, 16), hexBytes(ours.fx, 160 + i * 16, 16)];
    if (a !== b) found.push(`xmm${i}: real ${a}, ours ${b}`);
  }
  const field = (what: string, at: number, bytes: number): void => {
    const [a, b] = [hexBytes(native.fx, at, bytes), hexBytes(ours.fx, at, bytes)];
    if (a !== b) found.push(`${what}: real ${a}, ours ${b}`);
  };
  field('mxcsr', 24, 4);
  // A real MMX store or maskmovq that faults has set TOP to 0 already
  const x87Half = native.trap !== 3 && options.mmx;
  for (let i = 0; i < 8 && !x87Half; i++) {
    const [a, b] = [hexBytes(native.fx, 32 + i * 16, 10), hexBytes(ours.fx, 32 + i * 16, 10)];
    if (a !== b) found.push(`st${i}: real ${a}, ours ${b}`);
  }
  if (!x87Half) {
    field('fcw', 0, 2);
    field('fsw', 2, 2);
    field('ftw', 4, 1);
  }
  if (options.x87Pointers) field('fop fip fdp', 6, 18);
  // A store of ten bytes is two, of which a real CPU may have done the first when the second faults
  if (/^f(b?stp|nsave|nstenv)$/.test(mnemonic) && native.trap === 14) return found;
  if (
    native.changes.length !== ours.changes.length ||
    native.changes.some((change, i) => change !== ours.changes[i])
  ) {
    const text = (changes: Uint32Array): string =>
      [...changes.slice(0, 20)].map((change) => `${hex(change >>> 8)}=${hex(change & 255)}`).join(' ');
    found.push(
      `memory: real ${text(native.changes)} (${native.changes.length}), ours ${text(ours.changes)} (${ours.changes.length})`,
    );
  }
  return found;
}
