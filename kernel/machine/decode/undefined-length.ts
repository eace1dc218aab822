// How long an opcode without an instruction would be. A CPU finds the end of an instruction before it knows that there is
// none: beyond 15 bytes it raises #GP, not #UD (SDM vol. 2, 2.3.11). Which undefined opcodes have a ModRM byte was asked
// of a Skylake.

import type { FormEntry } from './opcode-map.ts';

const WITHOUT_MODRM = new Set([0x04, 0x0a, 0x0c, 0x0e, 0x0f, 0x24, 0x25, 0x26, 0x27, 0x36, 0x37, 0xaa]);
/** AAM, AAD, the alias of group 1, far calls and jumps: immediates of one-byte opcodes that 64-bit mode has not. */
const IMMEDIATES: Readonly<Record<number, number>> = { 0xd4: 1, 0xd5: 1, 0x82: 1, 0x9a: 6, 0xea: 6 };
const ALIAS_OF_GROUP_1 = 0x82;

/** Bytes of ModRM, SIB and displacement. */
function addressBytes(modRm: number, sib: number): number {
  const mod = modRm >> 6;
  if (mod === 3) return 1;
  const hasSib = (modRm & 7) === 4;
  const wide = mod === 2 || (mod === 0 && (hasSib ? sib & 7 : modRm & 7) === 5);
  return 1 + (hasSib ? 1 : 0) + (wide ? 4 : mod);
}

/** Bytes behind the opcode, which is `map`'s (0 to 3; VEX maps 4 higher) and ends before `next`. */
export function undefinedTail(
  map: number,
  opcode: number,
  candidates: readonly FormEntry[],
  operand16: boolean,
  bytes: Uint8Array,
  next: number,
): number {
  const address = addressBytes(bytes[next] ?? 0, bytes[next + 1] ?? 0);
  if (map !== 0) {
    if (map === 1 && WITHOUT_MODRM.has(opcode)) return 0;
    const isImmediate = (map & 3) === 3 || candidates.some(({ parsed }) => parsed.immediates.includes('ib'));
    return address + (isImmediate ? 1 : 0);
  }
  if (candidates.length > 0) return candidates.some(({ parsed }) => parsed.hasModRm) ? address : 0;
  const immediate = IMMEDIATES[opcode] ?? 0;
  if (opcode === ALIAS_OF_GROUP_1) return address + immediate;
  return immediate === 6 && operand16 ? 4 : immediate;
}
