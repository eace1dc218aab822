// What must be equal between the two halves of a case, and what the manual leaves undefined.

import type { OpcodeMap } from '../decode/opcode-map.ts';
import type { Case, Result } from './records.ts';
import { STATE, TRAP_TIMEOUT, codeBase } from './records.ts';
import { explainer } from './vendor.ts';

export const FLAG = { C: 1, P: 4, A: 16, Z: 64, S: 128, O: 2048, D: 1024 } as const;
const ALL = 0x8d5;

/** Arithmetic flags that are undefined after an instruction (SDM vol. 2, by mnemonic); shifts depend on the count. */
export const UNDEFINED: Record<string, number> = {
  and: FLAG.A, or: FLAG.A, xor: FLAG.A, test: FLAG.A,
  mul: FLAG.S | FLAG.Z | FLAG.A | FLAG.P, imul: FLAG.S | FLAG.Z | FLAG.A | FLAG.P,
  div: ALL, idiv: ALL,
  andn: FLAG.A | FLAG.P, bextr: FLAG.A | FLAG.S | FLAG.P, bzhi: FLAG.A | FLAG.P,
  blsi: FLAG.A | FLAG.P, blsmsk: FLAG.A | FLAG.P, blsr: FLAG.A | FLAG.P,
  lzcnt: ALL & ~(FLAG.C | FLAG.Z), tzcnt: ALL & ~(FLAG.C | FLAG.Z),
  bsf: ALL & ~FLAG.Z, bsr: ALL & ~FLAG.Z,
  bt: ALL & ~(FLAG.C | FLAG.Z), bts: ALL & ~(FLAG.C | FLAG.Z), btr: ALL & ~(FLAG.C | FLAG.Z), btc: ALL & ~(FLAG.C | FLAG.Z),
  shl: FLAG.A | FLAG.O, sal: FLAG.A | FLAG.O, shr: FLAG.A | FLAG.O, sar: FLAG.A | FLAG.O,
  rol: FLAG.O, ror: FLAG.O, rcl: FLAG.O, rcr: FLAG.O,
  shld: FLAG.A | FLAG.O, shrd: FLAG.A | FLAG.O,
}; // prettier-ignore

/** The flags that are undefined after this case; undefined itself where the whole result is. */
function undefinedFlags(mnemonic: string, encoding: string, test: Case): number | undefined {
  // 16-bit double shifts by more than 16 leave everything undefined
  if (/^sh[lr]d$/.test(mnemonic) && test.code.subarray(0, 4).includes(0x66)) return undefined;
  const flags = UNDEFINED[mnemonic] ?? 0;
  if (!/^(sh|sa|ro|rc)[lr]d?$/.test(mnemonic)) return flags;
  // By one, overflow is defined; by zero, nothing changes
  let count = (test.gpr[2] ?? 0) & 63;
  if (/^D[01] /.test(encoding)) count = 1;
  else if (encoding.endsWith(' ib')) count = (test.code[test.codeLength - 1] ?? 0) & 63;
  if (count === 0) return 0;
  return count === 1 ? flags & ~FLAG.O : flags;
}

export interface CompareOptions {
  /** Also the last instruction's pointer, data pointer and opcode of the x87. */
  readonly x87Pointers: boolean;
  /** The instruction works on MMX registers. */
  readonly mmx: boolean;
  readonly encoding: string;
  readonly map: OpcodeMap;
}

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
const NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15']; // prettier-ignore

/** Words as one hexadecimal number, the last of `bytes` bytes first. */
function hexWords(state: Int32Array, word: number, bytes: number): string {
  let text = '';
  for (let at = 0; at < bytes; at += 4) {
    const digits = ((state[word + (at >> 2)] ?? 0) >>> 0).toString(16).padStart(8, '0');
    text = (bytes - at < 4 ? digits.slice(-2 * (bytes - at)) : digits) + text;
  }
  return text;
}

/** What can be relied on in a result, by name. Undefined where the manual leaves the whole outcome open. */
function visible(
  mnemonic: string,
  test: Case,
  { state, changes, changeCount }: Result,
  options: Omit<CompareOptions, 'map'>,
): Map<string, string> | undefined {
  const flags = undefinedFlags(mnemonic, options.encoding, test);
  if (flags === undefined) return undefined;
  const seen = new Map<string, string>();
  const word = (at: number): number => state[at] ?? 0;
  const trap = word(STATE.trap);
  seen.set('trap', hex(trap));
  const offset = word(STATE.rip) - codeBase(test);
  seen.set('rip', word(STATE.rip + 1) === 0 ? hex(offset) : hexWords(state, STATE.rip, 8));
  // Of kernel addresses, and the page below those that are not canonical, the real page tables show whether there is a page
  const isTop = word(STATE.address + 1) === 0x7fff && word(STATE.address) >>> 12 === 0xf_ffff;
  if ((trap === 12 || trap === 13 || trap === 14) && word(STATE.address + 1) >= 0 && !isTop)
    seen.set('error code', hex(word(STATE.error)));
  // Which byte of a masked store or of a large image is named first is the implementation's choice
  if (
    trap === 14 &&
    !/^(v?p?maskmov|fxsave|fxrstor|xsave|xrstor|fnstenv|fldenv|fnsave|frstor)/.test(mnemonic)
  )
    seen.set('cr2', hexWords(state, STATE.address, 8));
  const undefinedTarget = (mnemonic === 'bsf' || mnemonic === 'bsr') && (word(STATE.rflags) & FLAG.Z) !== 0;
  for (let i = 0; i < 16 && !undefinedTarget; i++)
    seen.set(NAMES[i] ?? '', hexWords(state, STATE.gpr + i * 2, 8));
  seen.set('flags', hex(word(STATE.rflags) & (ALL | FLAG.D) & ~flags));
  for (let i = 0; i < 16; i++) seen.set(`xmm${i}`, hexWords(state, STATE.fx + 40 + i * 4, 16));
  for (let i = 0; i < 16; i++) seen.set(`ymm${i} high`, hexWords(state, STATE.ymm + i * 4, 16));
  seen.set('mxcsr', hexWords(state, STATE.fx + 6, 4));
  // A real MMX store or maskmovq that faults has set TOP to 0 already
  if (trap === 3 || !options.mmx) {
    for (let i = 0; i < 8; i++) seen.set(`st${i}`, hexWords(state, STATE.fx + 8 + i * 4, 10));
    seen.set('fcw', hex(word(STATE.fx) & 0xffff));
    seen.set('fsw', hex(word(STATE.fx) >>> 16));
    seen.set('ftw', hex(word(STATE.fx + 1) & 255));
  }
  if (options.x87Pointers)
    seen.set('fop fip fdp', `${hex(word(STATE.fx + 1) >>> 16)} ${hexWords(state, STATE.fx + 2, 16)}`);
  // A store of ten bytes is two, of which a real CPU may have done the first when the second faults
  if (/^f(b?stp|nsave|nstenv)$/.test(mnemonic) && trap === 14) return seen;
  const list = [...changes.subarray(0, changeCount)].map(
    (change) => `${hex(change >>> 8)}=${hex(change & 255)}`,
  );
  seen.set('memory', list.join(' '));
  return seen;
}

/** Words of the state that are looked at more closely, if at all. */
const SPECIAL = new Set([
  STATE.error, STATE.address, STATE.address + 1, STATE.rflags, STATE.rflags + 1, STATE.fx + 1, STATE.fx + 2, STATE.fx + 3,
  STATE.fx + 4, STATE.fx + 5, STATE.fx + 7,
]); // prettier-ignore
const PLAIN = Uint8Array.from({ length: STATE.words }, (_unused, i) => i).filter((i) => !SPECIAL.has(i));

/** Equal in everything that is ever compared: the usual case, found out quickly. */
export function isEqual(mnemonic: string, native: Result, ours: Result): boolean {
  const [real, emulated] = [native.state, ours.state];
  for (let i = 0; i < PLAIN.length; i++) {
    const word = PLAIN[i] ?? 0;
    if (real[word] !== emulated[word]) return false;
  }
  const flags = (ALL | FLAG.D) & ~(UNDEFINED[mnemonic] ?? 0);
  if ((((real[STATE.rflags] ?? 0) ^ (emulated[STATE.rflags] ?? 0)) & flags) !== 0) return false;
  if ((((real[STATE.fx + 1] ?? 0) ^ (emulated[STATE.fx + 1] ?? 0)) & 255) !== 0) return false;
  const trap = real[STATE.trap] ?? 0;
  if (trap === 12 || trap === 13 || trap === 14) {
    if (real[STATE.error] !== emulated[STATE.error]) return false;
    if (real[STATE.address] !== emulated[STATE.address]) return false;
    if (real[STATE.address + 1] !== emulated[STATE.address + 1]) return false;
  }
  if (native.changeCount !== ours.changeCount) return false;
  for (let i = 0; i < native.changeCount; i++) if (native.changes[i] !== ours.changes[i]) return false;
  return true;
}

/** Functions whose last place is the CPU's choice, and with it whether it was rounded up (SDM 1 8.3.10). */
export const APPROXIMATE = /^(f2xm1|fyl2x|fyl2xp1|fsin|fcos|fsincos|fptan|fpatan)$/;
const C1 = 0x200;
function isNear(mnemonic: string, test: Case, what: string, a: string, b: string): boolean {
  if (what !== 'fsw' && !/^st\d$/.test(what)) return false;
  if (what === 'fsw') return ((parseInt(a, 16) ^ parseInt(b, 16)) & ~C1) === 0;
  // Without the integer bit, neighbours are neighbours across powers of two
  const [x, y] = [a, b].map((text) => (BigInt(`0x${text}`) >> 64n << 63n) | BigInt.asUintN(63, BigInt(`0x${text}`))); // prettier-ignore
  if (x === undefined || y === undefined) return false;
  // Beyond ±(1 - √½) FYL2XP1 is undefined
  const beyond =
    mnemonic === 'fyl2xp1' && ((((test.fx[41] ?? 0) << 8) & 0x7fff) | (test.fx[40] ?? 0)) >= 0x3ffd;
  const places = beyond ? 4n : 1n;
  return x - y <= places && y - x <= places;
}

/** A masked store of nothing may fault or not (SDM 2B, MASKMOVDQU). */
const isOpen = (mnemonic: string, native: Result): boolean =>
  /^v?maskmov(q|dqu)/.test(mnemonic) && native.state[STATE.trap] !== 3;

/** The differences as lines, native first. Empty: equal. */
export function differences(
  mnemonic: string,
  test: Case,
  native: Result,
  ours: Result,
  options: CompareOptions,
): string[] {
  // prettier-ignore
  if (native.state[STATE.trap] === TRAP_TIMEOUT) return [];
  const real = visible(mnemonic, test, native, options);
  const emulated = visible(mnemonic, test, ours, options);
  if (real === undefined || emulated === undefined) return [];
  if (isOpen(mnemonic, native) && ours.state[STATE.trap] === 3) return [];
  const found: string[] = [];
  const names = [...new Set([...real.keys(), ...emulated.keys()])].filter((what) => real.get(what) !== emulated.get(what)); // prettier-ignore
  if (names.length === 0) return [];
  const isVendors = explainer(options.map, mnemonic, { test, real: native, ours });
  for (const what of names) {
    const [a, b] = [real.get(what), emulated.get(what)];
    if (APPROXIMATE.test(mnemonic) && isNear(mnemonic, test, what, a ?? '0', b ?? '0')) continue;
    if (!isVendors(what))
      found.push(`${what}: real ${(a ?? '').slice(0, 200)}, ours ${(b ?? '').slice(0, 200)}`);
  }
  if (found.length > 0)
    found.push(`it ended with trap ${real.get('trap') ?? ''} at ${real.get('rip') ?? ''}`);
  return found;
}

/** A checksum of all that can be relied on in a result; '-' where that is nothing. */
export function checksum(
  mnemonic: string,
  test: Case,
  result: Result,
  options: Pick<CompareOptions, 'mmx' | 'encoding'>,
): string {
  // prettier-ignore
  const seen = visible(mnemonic, test, result, { ...options, x87Pointers: false });
  if (seen === undefined || isOpen(mnemonic, result) || APPROXIMATE.test(mnemonic)) return '-';
  let hash = 0x811c_9dc5;
  for (const [what, value] of seen)
    for (const character of `${what} ${value};`)
      hash = Math.imul(hash ^ character.charCodeAt(0), 0x0100_0193);
  return (hash >>> 0).toString(36);
}
