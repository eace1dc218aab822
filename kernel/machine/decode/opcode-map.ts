// The opcode map, built from the declarations: for each map and opcode byte the forms that it may start, most specific
// first.

import type { Encoding, Instruction } from '../isa/declare.ts';
import { operandLetter, parseEncoding } from '../isa/declare.ts';
import type { FormCode } from '../exec/emit.ts';

export interface FormEntry extends FormCode {
  readonly id: number;
  readonly parsed: Encoding;
  /** Which of register (1) and memory (2) forms of ModRM.rm it has. */
  readonly modes: number;
  readonly usesOperandSize: boolean;
}

export interface OpcodeMap {
  /** Index: map number (0 '', 1 0F, 2 0F38, 3 0F3A) × 256 + opcode. */
  readonly byOpcode: readonly (readonly FormEntry[])[];
  readonly entries: readonly FormEntry[];
}

export const MAP_NUMBER = { '': 0, '0F': 1, '0F38': 2, '0F3A': 3 } as const;

function entryOf(instruction: Instruction, form: Instruction['forms'][number], id: number): FormEntry {
  const [encoding, operandText, optionText] = form;
  const letters = operandText === '' ? [] : operandText.split(',');
  const operands = letters.map(operandLetter);
  const options = optionText === undefined ? [] : optionText.split(' ');
  let modes = 3;
  for (const operand of operands) {
    if (operand.field !== 'rm') continue;
    if (operand.kind === 'memory') modes = 2;
    else if (operand.kind !== 'modrm') modes = 1;
  }
  const usesOperandSize =
    operands.some((operand) => operand.size === 'v' || operand.size === 'y') || options.includes('v');
  return { instruction, encoding, letters, operands, options, id, parsed: parseEncoding(encoding), modes, usesOperandSize }; // prettier-ignore
}

function specificity({ parsed, modes, options }: FormEntry): number {
  let score = options.includes('nop90') ? 1 : 0;
  if (parsed.modRm !== undefined) score += 16;
  if (parsed.digit !== undefined) score += 8;
  if (parsed.prefix !== undefined) score += 4;
  if (parsed.rexW !== undefined) score += 2;
  return modes === 3 ? score : score + 1;
}

export function buildOpcodeMap(instructions: readonly Instruction[]): OpcodeMap {
  const byOpcode: FormEntry[][] = Array.from({ length: 1024 }, () => []);
  const entries: FormEntry[] = [];
  for (const declared of instructions) {
    for (const form of declared.forms) {
      const entry = entryOf(declared, form, entries.length);
      entries.push(entry);
      const first = MAP_NUMBER[entry.parsed.map] * 256 + entry.parsed.opcode;
      for (let i = 0; i < (entry.parsed.registerInOpcode ? 8 : 1); i++) byOpcode[first + i]?.push(entry);
    }
  }
  for (const candidates of byOpcode) candidates.sort((a, b) => specificity(b) - specificity(a));
  return { byOpcode, entries };
}
