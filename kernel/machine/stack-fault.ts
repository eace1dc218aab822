// Which exception an address that is not canonical raises: #SS where the instruction meant the stack segment (RSP or RBP
// as base without FS or GS, and everything that pushes or pops), else #GP (SDM 3A 6.15). The MMU knows addresses only,
// so the instruction is decoded once more; that is rare.

import type { Machine } from './cpu.ts';
import { decode, newDecoded } from './decode/decode.ts';
import { CONTEXT, PAGE_BYTES } from './layout.ts';
import { VECTOR } from './machine.ts';

const EXECUTE = 2;
const LENGTH_MAX = 15;
const [RSP, RBP] = [4 * 8, 5 * 8];
const USES_STACK = /^(push|pop|enter$|leave$|call|ret|iret)/;

/** The bytes at RIP, as far as they can be executed. */
function codeAt(machine: Machine, context: number, rip: bigint): Uint8Array {
  const code = new Uint8Array(LENGTH_MAX);
  const cr2 = machine.view.getBigUint64(context + CONTEXT.cr2, true); // a page that is not there would change it
  const inPage = Math.min(LENGTH_MAX, PAGE_BYTES - Number(rip & 4095n));
  for (const [from, end] of [[0, inPage], [inPage, LENGTH_MAX]] as const) {
    if (from === end) break;
    const host = machine.core.walk(context, BigInt.asIntN(64, rip + BigInt(from)), EXECUTE) >>> 0;
    if (host === 0) break;
    code.set(machine.bytes.subarray(host, host + end - from), from);
  } // prettier-ignore
  machine.view.setBigUint64(context + CONTEXT.cr2, cr2, true);
  machine.view.setUint32(context + CONTEXT.trapError, 0, true);
  return code;
}

const isCanonical = (address: bigint): boolean => BigInt.asIntN(48, address) === BigInt.asIntN(64, address);

export function vectorOfNotCanonical(machine: Machine, context: number): number {
  const { view } = machine;
  const register = (offset: number): bigint => view.getBigUint64(context + offset, true);
  const decoded = newDecoded();
  const code = codeAt(machine, context, register(CONTEXT.rip));
  const status = decode(machine.code.map, code, 0, LENGTH_MAX, decoded);
  const mnemonic = decoded.entry?.instruction.mnemonic;
  if (status !== 'ok' || mnemonic === undefined) return VECTOR.generalProtection;
  const isMemory = decoded.addressing !== 'none';
  const byStack =
    isMemory && (decoded.base === RSP || decoded.base === RBP) && decoded.segment === CONTEXT.zero;
  const ofOperand = byStack ? VECTOR.stackFault : VECTOR.generalProtection;
  if (!USES_STACK.test(mnemonic)) return ofOperand;
  const popsFirst = mnemonic === 'pop' && !isCanonical(register(CONTEXT.gpr + RSP));
  if (!isMemory || popsFirst || decoded.ripRelative) return VECTOR.stackFault;
  const index = register(decoded.index) << BigInt(decoded.scale);
  const offset = register(decoded.base) + index + BigInt(decoded.displacement);
  const linear = (decoded.address32 ? BigInt.asUintN(32, offset) : offset) + register(decoded.segment);
  const last = linear + BigInt(decoded.operandSize - 1);
  return isCanonical(BigInt.asIntN(64, linear)) && isCanonical(BigInt.asIntN(64, last))
    ? VECTOR.stackFault
    : ofOperand;
}
