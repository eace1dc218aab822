// Programs: 5 to 40 random instructions with loops, branches forwards, calls, indirect jumps, string instructions, pushes and
// pops, stores into their own code, and faults in the middle. Loops are bounded by a counter that nothing else writes: R15,
// or a word of the stack page for inner loops. What a seed gives depends on the list of instructions that it chooses from.

import type { FormEntry } from '../decode/opcode-map.ts';
import { APPROXIMATE, FLAG, UNDEFINED } from './compare.ts';
import { PINNED, encode, setRegister, targetFor } from './encode.ts';
import { fillWindow, flagsWord, isComparable, randomRegisters, vectorState } from './generate.ts';
import type { Case } from './records.ts';
import { CODE_BYTES, CODE_MAX, PAGE, PLACE, codeBase } from './records.ts';
import type { Chance } from './values.ts';
import { below, bits32, chance, oneIn, pick } from './values.ts';
import { isNeverInPrograms } from './vendor.ts';

/** Leave the code, need registers that are pinned, mostly fault, or may leave memory half written when they do. */
const ALONE =
  /^(push.*|pop.*|enter|leave|call|ret|jmp|loop.*|j.*|int3|lods.*|stos.*|movs[bwdq]?|scas.*|cmps|xlat.*|ud.*|exception.*|div|idiv|v?maskmov.*|vpmaskmov.*|vp?gather.*|fx.*|nop|pause|endbr.*|bsf|bsr|sh[lr]d|f(ld|nst|st)env|f(n?save|rstor)|v?ldmxcsr|fb?stp|std|cld)$/;

/** May stand in a program as a plain instruction. */
export function isSequential(entry: FormEntry): boolean {
  const { mnemonic } = entry.instruction;
  if (!isComparable(entry) || ALONE.test(mnemonic) || APPROXIMATE.test(mnemonic)) return false;
  if (isNeverInPrograms(mnemonic)) return false;
  return entry.operands.every((operand) => operand.kind !== 'relative' && operand.field !== 'is4');
}

/** The x87 comes with its own registers' contents, so it is not mixed into every program. */
export interface Vocabulary {
  readonly integer: readonly FormEntry[];
  readonly vector: readonly FormEntry[];
  readonly x87: readonly FormEntry[];
}
export function vocabularyOf(entries: readonly FormEntry[]): Vocabulary {
  const usable = entries.filter(isSequential);
  const isX87 = (entry: FormEntry): boolean => entry.instruction.feature === 'x87';
  const isVector = (entry: FormEntry): boolean =>
    entry.operands.some(({ register }) => register === 'xmm' || register === 'ymm' || register === 'mmx');
  const integer = usable.filter((entry) => !isX87(entry) && !isVector(entry));
  return {
    integer: integer.length > 0 ? integer : usable,
    vector: usable.filter(isVector),
    x87: usable.filter(isX87),
  };
}

interface Writer {
  readonly from: Chance;
  readonly test: Case;
  readonly names: string[];
  readonly style: 'integer' | 'vector' | 'x87';
  readonly vocabulary: Vocabulary;
  /** The code runs into the end of its pages: what is to follow an instruction may not be there. */
  readonly endsEarly: boolean;
  /** Plain instructions still to come. */
  left: number;
  /** Places of rel32 of calls, for one of the functions behind the program. */
  readonly calls: number[];
  /** Bytes that are equal to others of the code, which may still be patched: to, from. */
  readonly copies: [number, number][];
}

const room = (w: Writer): boolean => w.test.codeLength < CODE_MAX - 120;
const here = (w: Writer): number => codeBase(w.test) + w.test.codeOffset + w.test.codeLength;
function put(w: Writer, ...bytes: number[]): void {
  for (const byte of bytes) w.test.code[w.test.codeLength++] = byte;
}
function put32(w: Writer, value: number): void {
  put(w, value, value >>> 8, value >>> 16, value >>> 24);
}
function patch32(w: Writer, at: number, value: number): void {
  for (let i = 0; i < 4; i++) w.test.code[at + i] = value >>> (8 * i);
}

function plain(w: Writer): void {
  const { from, vocabulary } = w;
  const list = w.style !== 'integer' && oneIn(from, 2) ? vocabulary[w.style] : vocabulary.integer;
  const entry = list[below(from, list.length)];
  if (entry === undefined) return;
  const { mnemonic } = entry.instruction;
  const leavesFlags = ((UNDEFINED[mnemonic] ?? 0) & ~FLAG.A) !== 0;
  if (leavesFlags && w.endsEarly) return;
  const site = { at: here(w), gpr: w.test.gpr, inProgram: true, registersOnly: mnemonic.startsWith('bt') };
  put(w, ...encode(from, entry, site).bytes);
  w.names.push(mnemonic);
  w.left--;
  if (leavesFlags) put(w, 0x3c, bits32(from)); // cmp al, imm8
}

/** Jumps over some items: Jcc or JRCXZ, short or near. */
function forward(w: Writer, depth: number): void {
  const { from, test } = w;
  const kind = below(from, 8);
  w.names.push('jcc');
  if (kind === 0) put(w, 0xe3);
  else if (kind < 4) put(w, 0x70 | below(from, 16));
  else put(w, 0x0f, 0x80 | below(from, 16));
  const at = test.codeLength;
  if (kind < 4) put(w, 0);
  else put32(w, 0);
  body(w, 1 + below(from, 3), depth + 1);
  const distance = test.codeLength - at - (kind < 4 ? 1 : 4);
  if (kind >= 4) patch32(w, at, distance);
  else if (distance < 128) test.code[at] = distance;
}

function loop(w: Writer, depth: number): void {
  const { from, test } = w;
  const turns = 1 + below(from, oneIn(from, 6) ? 40 : 6);
  w.names.push('loop');
  const inMemory = depth > 0 || oneIn(from, 4);
  const counter = PLACE.stack + 64 + depth * 4;
  if (inMemory) {
    put(w, 0xc7, 0x04, 0x25);
    put32(w, counter);
  } else put(w, 0x41, 0xbf); // mov r15d, imm32
  put32(w, turns);
  const top = test.codeLength;
  if (oneIn(from, 3)) put(w, 0x41, 0xff, 0xc5); // inc r13d
  body(w, 1 + below(from, 5), depth + 1);
  if (inMemory) {
    put(w, 0xff, 0x0c, 0x25); // dec dword [counter]
    put32(w, counter);
  } else if (oneIn(from, 2)) put(w, 0x41, 0xff, 0xcf);
  else put(w, 0x49, 0x83, 0xef, 0x01); // sub r15, 1
  const back = top - test.codeLength - 2;
  const condition = inMemory || oneIn(from, 2) ? 5 : 15; // jnz, jg
  if (back >= -128 && !oneIn(from, 4)) put(w, 0x70 | condition, back);
  else {
    put(w, 0x0f, 0x80 | condition);
    put32(w, top - test.codeLength - 4);
  }
}

function stack(w: Writer): void {
  const { from } = w;
  const register = pick<number>(from, [0, 1, 2, 3, 5, 6, 7]);
  w.names.push('push/pop');
  switch (below(from, 8)) {
    case 0: case 1: put(w, 0x50 | register); break;
    case 2: case 3: put(w, 0x58 | register); break;
    case 4: put(w, 0x6a, bits32(from)); break;
    case 5: put(w, 0x66, 0x50 | register); break;
    case 6: put(w, 0x9c, 0x58 | register); break; // pushf; pop
    default: put(w, 0x41, 0x50 | (register & 3), 0x41, 0x58 | (register & 3)); // push, pop r8 …
  }
} // prettier-ignore

function string(w: Writer): void {
  const { from } = w;
  const near = (): number =>
    oneIn(from, 8) ? targetFor(from, 40) : PLACE.data + below(from, 2 * PAGE - 400);
  w.names.push('string');
  for (const move of [0xbf, 0xbe]) {
    put(w, move); // mov edi, esi, imm32
    put32(w, near());
  }
  put(w, 0xb9); // mov ecx, imm32
  put32(w, below(from, oneIn(from, 6) ? 300 : 20));
  const down = oneIn(from, 6);
  if (down) put(w, 0xfd);
  const opcode = pick<number>(from, [0xa4, 0xa5, 0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xa6, 0xa7, 0xae, 0xaf]);
  if (!oneIn(from, 5)) put(w, (opcode & 6) === 6 && oneIn(from, 2) ? 0xf2 : 0xf3);
  if (oneIn(from, 3)) put(w, 0x48);
  put(w, opcode);
  if (down) put(w, 0xfc);
}

/** A division that may fault; its flags are undefined, so a comparison follows. */
function divide(w: Writer): void {
  const { from } = w;
  w.names.push('div');
  if (oneIn(from, 2))
    put(w, 0x31, 0xd2); // xor edx, edx
  else put(w, 0x99); // cdq
  if (!oneIn(from, 3)) put(w, 0x83, 0xc9, 0x01); // or ecx, 1
  const wide = oneIn(from, 2);
  if (wide) put(w, 0x48);
  put(w, 0xf7, oneIn(from, 2) ? 0xf1 : 0xf9); // div, idiv ecx
  put(w, 0x3c, bits32(from));
}

function call(w: Writer): void {
  w.names.push('call');
  put(w, 0xe8);
  w.calls.push(w.test.codeLength);
  put32(w, 0);
}

function indirectJump(w: Writer): void {
  w.names.push('jmp r');
  const skipped = below(w.from, 6);
  put(w, 0x48, 0x8d, 0x05); // lea rax, [rip + …]; jmp rax
  put32(w, 2 + skipped);
  put(w, 0xff, 0xe0);
  for (let i = 0; i < skipped; i++) put(w, 0x90);
}

/** Stores into the code, of what comes next or of what has been, with a jump between. */
function changeCode(w: Writer): void {
  const { from, test } = w;
  w.names.push('self-modifying store');
  const toward = (to: number): void => put32(w, to);
  switch (below(from, 4)) {
    case 0: // mov dword [the next mov's immediate], imm32
      put(w, 0xc7, 0x05);
      toward(2 + 1);
      put32(w, bits32(from));
      put(w, 0xeb, 0x00, 0xb8 | pick<number>(from, [0, 1, 2, 3]));
      put32(w, bits32(from));
      break;
    case 1: // xor byte [ModRM of inc], 8: it is dec in every other turn
      put(w, 0x80, 0x35);
      toward(2 + 2);
      put(w, 0x08, 0xeb, 0x00, 0x48, 0xff, 0xc0 | below(from, 4));
      break;
    case 2: { // rep stosb over NOPs
      put(w, 0x48, 0x8d, 0x3d); // lea rdi, [rip + …]
      const count = 1 + below(from, 8);
      toward(5 + 2 + 2 + 2);
      put(w, 0xb9);
      put32(w, count);
      put(w, 0xb0, pick<number>(from, [0x90, 0xf8, 0xf9, 0xf5, 0xfc]), 0xf3, 0xaa, 0xeb, 0x00);
      for (let i = 0; i < 8; i++) put(w, 0x90);
      break;
    }
    default: { // a byte of what has been, written as it is
      const at = below(from, Math.max(1, test.codeLength));
      put(w, 0xc6, 0x05);
      put32(w, at - (test.codeLength + 5));
      w.copies.push([test.codeLength, at]);
      put(w, 0xcc, 0xeb, 0x00);
    }
  } // prettier-ignore
}

function body(w: Writer, items: number, depth: number): void {
  const { from, test } = w;
  for (let i = 0; i < items && room(w); i++) {
    const kind = below(from, 64);
    if (test.writesCode && oneIn(from, 6)) changeCode(w);
    else if (kind < 5 && depth < 3) loop(w, depth);
    else if (kind < 11 && depth < 4) forward(w, depth);
    else if (kind < 14) stack(w);
    else if (kind < 16) string(w);
    else if (kind < 17 && !w.endsEarly) divide(w);
    else if (kind < 20 && depth < 4) call(w);
    else if (kind < 21) indirectJump(w);
    else plain(w);
  }
}

function functions(w: Writer): void {
  const { test, from } = w;
  put(w, 0xcc);
  if (w.calls.length === 0) return;
  const calls = w.calls.splice(0);
  const entries = [1, 2].slice(below(from, 2)).map(() => {
    const at = test.codeLength;
    body(w, 1 + below(from, 3), 4); // calls nothing, loops no more
    if (oneIn(from, 8)) put(w, 0xc2, 8 * below(from, 2), 0);
    else put(w, 0xc3);
    return at;
  });
  for (const at of calls) patch32(w, at, (entries[below(from, entries.length)] ?? 0) - at - 4);
}

/** The program of a seed; gives the names of what it is made of. */
export function programFor(vocabulary: Vocabulary, seed: number, test: Case): string {
  const from = chance(seed);
  bits32(from);
  const styles = (['integer', 'vector', 'x87'] as const).filter((style) => vocabulary[style].length > 0);
  const style = styles[below(from, styles.length)] ?? 'integer';
  test.writesCode = oneIn(from, 6);
  test.codeLength = 0;
  test.codeOffset = 0x400 + below(from, 64);
  if (oneIn(from, 4)) test.codeOffset = PAGE - 1 - below(from, 200);
  else if (oneIn(from, 40)) test.codeOffset = CODE_BYTES - 1 - below(from, 200);
  const { gpr } = test;
  randomRegisters(from, gpr);
  setRegister(gpr, 4, PLACE.stack + (oneIn(from, 6) ? below(from, 32) : oneIn(from, 8) ? PAGE - below(from, 32) : 2048 + 8 * below(from, 64))); // prettier-ignore
  setRegister(gpr, 5, PLACE.stack + 1024);
  setRegister(gpr, PINNED.near, PLACE.data + PAGE);
  setRegister(gpr, PINNED.index, below(from, 4));
  setRegister(gpr, PINNED.data, PLACE.data + 0x800);
  const endsEarly = test.codeOffset > CODE_BYTES - CODE_MAX;
  const w: Writer = {
    from,
    test,
    endsEarly,
    names: [],
    style,
    vocabulary,
    left: 5 + below(from, 36),
    calls: [],
    copies: [],
  };
  while (w.left > 0 && room(w)) body(w, 1, 0);
  functions(w);
  for (const [to, at] of w.copies) test.code[to] = test.code[at] ?? 0xcc;
  vectorState(from, test, style === 'x87');
  fillWindow(from, test, PLACE.data + 0x780 + 64, 256);
  test.rflags = flagsWord(from);
  return w.names.join('; ');
}
