// Moves between general registers, memory and immediates.

import type { Family } from './declare.ts';
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

export const move: Family = { instructions: [mov] };
