// MOVBE: loads and stores with the bytes in the other order.

import type { Family } from './declare.ts';
import { instruction } from './declare.ts';
import { swappedBytes } from './bits.ts';

export const movbe: Family = {
  instructions: [
    instruction({
      mnemonic: 'movbe',
      source: 'SDM vol. 2B, MOVBE',
      feature: 'movbe',
      forms: [
        ['0F 38 F0 /r', 'Gv,Mv'],
        ['0F 38 F1 /r', 'Mv,Gv'],
      ],
      emit: (e, target, source) => e.write(target, swappedBytes(e, e.read(source))),
    }),
  ],
};
