// The opcode map, built from the declarations: for each map and opcode byte the forms that it may start, most specific
// first.

import type { Encoding, Instruction, OperandLetter } from '../isa/declare.ts';
import { operandLetter, parseEncoding } from '../isa/declare.ts';
import type { FormCode } from '../exec/emit.ts';

export interface FormEntry extends FormCode {
  readonly id: number;
  readonly parsed: Encoding;
  /** Which of register (1) and memory (2) forms of ModRM.rm it has. */
  readonly modes: number;
  readonly usesOperandSize: boolean;
  // What the decoder asks of each instruction, worked out beforehand
  readonly can: {
    readonly lock: boolean;
    readonly default64: boolean;
    readonly force64: boolean;
    readonly repeat: 'no' | 'rep' | 'repz';
    readonly popToMemory: boolean;
    readonly neverFallsThrough: boolean;
    readonly address32: boolean;
    readonly relative: boolean;
    readonly nop90: boolean;
    /** ModRM names registers whatever mod says. */
    readonly anyMod: boolean;
    /** Condition code of Jcc. */
    readonly branchOn: number | undefined;
    /** VEX.vvvv names an operand. */
    readonly vvvv: boolean;
    readonly vectorIndex: OperandLetter['vectorIndex'];
    /** An operand in memory that no ModRM names, as of MOVS. */
    readonly memoryWithoutModRm: boolean;
  };
  readonly immediateSizes: readonly OperandLetter['size'][];
}

export interface OpcodeMap {
  /** For the same index: may a ModRM byte follow? */
  readonly hasModRm: readonly boolean[];
  /** Index: map number (0 '', 1 0F, 2 0F38, 3 0F3A; 4 more with VEX) × 256 + opcode. */
  readonly byOpcode: readonly (readonly FormEntry[])[];
  readonly entries: readonly FormEntry[];
}

export const MAP_NUMBER = { '': 0, '0F': 1, '0F38': 2, '0F3A': 3 } as const;
/** What VEX adds to a map's number. */
export const VEX_MAPS = 4;

function entryOf(instruction: Instruction, form: Instruction['forms'][number], id: number): FormEntry {
  const [encoding, operandText, optionText] = form;
  const letters = operandText === '' ? [] : operandText.split(',');
  const parsed = parseEncoding(encoding);
  const vectorBytes = parsed.vex === undefined ? undefined : parsed.vex.length === 1 ? 32 : 16;
  const operands = letters.map((letter) => operandLetter(letter, vectorBytes));
  const options = optionText === undefined ? [] : optionText.split(' ');
  let modes = 3;
  for (const operand of operands) {
    if (operand.field !== 'rm') continue;
    if (operand.kind === 'memory') modes = 2;
    else if (operand.kind !== 'modrm') modes = 1;
  }
  const usesOperandSize =
    operands.some(
      ({ kind, size, registerSize }) =>
        [size, registerSize].includes('v') || size === 'y' || (size === 'z' && kind === 'modrm'),
    ) || options.includes('v');
  const has = (option: string): boolean => options.includes(option);
  const row = parsed.vex !== undefined ? -1 : parsed.map === '' ? 0x70 : parsed.map === '0F' ? 0x80 : -1;
  const can: FormEntry['can'] = {
    branchOn: (parsed.opcode & 0xf0) === row ? parsed.opcode & 15 : undefined,
    lock: has('lock'),
    default64: has('d64'),
    force64: has('f64'),
    repeat: has('rep') ? 'rep' : has('repz') ? 'repz' : 'no',
    popToMemory: has('popm'),
    neverFallsThrough: has('end'),
    address32: has('a32'),
    relative: operands.some((operand) => operand.kind === 'relative'),
    nop90: has('nop90'),
    anyMod: has('anymod'),
    vvvv: operands.some((operand) => operand.field === 'vvvv'),
    memoryWithoutModRm: operands.some(({ kind, field }) => kind === 'memory' && field === 'none'),
    vectorIndex: operands.find((operand) => operand.vectorIndex !== undefined)?.vectorIndex,
  };
  const immediateSizes = operands.flatMap((operand) => (operand.kind === 'immediate' ? [operand.size] : []));
  return {
    instruction,
    encoding,
    letters,
    operands,
    options,
    id,
    parsed,
    modes,
    usesOperandSize,
    can,
    immediateSizes,
  };
}

function specificity({ parsed, modes, can }: FormEntry): number {
  let score = can.nop90 ? 1 : 0;
  if (parsed.modRm !== undefined) score += 16;
  if (parsed.digit !== undefined) score += 8;
  if (parsed.prefix !== undefined) score += 4;
  if (parsed.rexW !== undefined) score += 2;
  if (parsed.vex?.length !== undefined) score += 2;
  return modes === 3 ? score : score + 1;
}

export function buildOpcodeMap(instructions: readonly Instruction[]): OpcodeMap {
  const byOpcode: FormEntry[][] = Array.from({ length: 2048 }, () => []);
  const entries: FormEntry[] = [];
  for (const declared of instructions) {
    for (const form of declared.forms) {
      const entry = entryOf(declared, form, entries.length);
      entries.push(entry);
      const { map, opcode, vex } = entry.parsed;
      const first = (MAP_NUMBER[map] + (vex === undefined ? 0 : VEX_MAPS)) * 256 + opcode;
      for (let i = 0; i < (entry.parsed.registerInOpcode ? 8 : 1); i++) byOpcode[first + i]?.push(entry);
    }
  }
  for (const candidates of byOpcode) candidates.sort((a, b) => specificity(b) - specificity(a));
  const hasModRm = byOpcode.map((candidates) => candidates.some((candidate) => candidate.parsed.hasModRm));
  return { byOpcode, hasModRm, entries };
}
