// The handlers that are emitted into the run loop, by frequency in real programs. Every other instruction works as well,
// at the cost of an indirect call. 'mnemonic encoding operandSize addressing'.

import type { FormEntry, OpcodeMap } from '../decode/opcode-map.ts';
import type { Addressing, Variant } from './emit.ts';

export interface HotEntry {
  readonly entry: FormEntry;
  readonly form: FormEntry;
  readonly variant: Variant;
}

type HotLine = readonly [mnemonic: string, encodings: string, sizes: string, addressings: string];
const HOT: readonly HotLine[] = [['mov', '89 /r|8B /r', '4 8', 'none base index']];

const ADDRESSING: Record<string, Addressing> = { none: 'none', base: 'base', index: 'index', full: 'full' };

export function hotHandlers(map: OpcodeMap): HotEntry[] {
  const hot: HotEntry[] = [];
  for (const [mnemonic, encodings, sizes, addressings] of HOT) {
    for (const entry of map.entries) {
      if (entry.instruction.mnemonic !== mnemonic || !encodings.split('|').includes(entry.encoding)) continue;
      for (const size of sizes.split(' ')) {
        const operandSize = size === '2' ? 2 : size === '8' ? 8 : 4;
        for (const name of addressings.split(' ')) {
          const addressing = ADDRESSING[name] ?? 'none';
          hot.push({
            entry,
            form: entry,
            variant: { operandSize, addressing, repeat: 'none', address32: false },
          });
        }
      }
    }
  }
  return hot;
}
