// The VEX forms of what SSE has: which declarations are derived (avx-lift.ts), and how. The new instructions of AVX and
// AVX2 are in avx-vector.ts and avx2.ts.

import { v128 } from '../exec/wasm-simd.ts';
import { CONTEXT } from '../layout.ts';
import type { Family, Instruction } from './declare.ts';
import type { Lifting } from './avx-lift.ts';
import { lifted } from './avx-lift.ts';
import { sseConvert } from './sse-convert.ts';
import { sseFloat } from './sse-float.ts';
import { sseInteger } from './sse-integer.ts';
import { sseMove } from './sse-move.ts';
import { sseRound } from './sse-round.ts';
import { sseShuffle } from './sse-shuffle.ts';
import { sseState } from './sse-state.ts';
import { sseString } from './sse-string.ts';
import { ZERO } from './sse-support.ts';

const sse = [sseMove, sseInteger, sseShuffle, sseFloat, sseConvert, sseRound, sseString, sseState].flatMap(
  (family) => family.instructions,
);

/** Mnemonics as SSE has them. */
const LIFTED: readonly (readonly [lifting: Lifting, mnemonics: string])[] = [
  // Floating point, 256 bits with AVX
  [
    { shape: 'three', wide: 'avx' },
    `addps addpd subps subpd mulps mulpd divps divpd minps minpd maxps maxpd haddps haddpd hsubps hsubpd addsubps addsubpd
     andps andpd andnps andnpd orps orpd xorps xorpd unpcklps unpcklpd unpckhps unpckhpd shufps`,
  ],
  [{ shape: 'three', wide: 'avx', immediateShift: 2 }, 'shufpd blendpd'],
  [{ shape: 'three', wide: 'avx', immediateShift: 4 }, 'blendps'],
  [{ shape: 'two', wide: 'avx' }, 'sqrtps sqrtpd rcpps rsqrtps roundps roundpd cvtdq2ps cvtps2dq cvttps2dq'],
  [{ shape: 'two', wide: 'avx', source: 'half' }, 'cvtps2pd cvtdq2pd'],
  [{ shape: 'two', wide: 'avx', narrows: true }, 'cvtpd2ps cvtpd2dq cvttpd2dq'],
  [
    { shape: 'three', scalar: true },
    `addss addsd subss subsd mulss mulsd divss divsd minss minsd maxss maxsd sqrtss sqrtsd roundss roundsd rcpss rsqrtss
     cvtss2sd cvtsd2ss cvtsi2ss cvtsi2sd`,
  ],
  [{ shape: 'two', scalar: true }, 'comiss comisd ucomiss ucomisd cvtss2si cvttss2si cvtsd2si cvttsd2si'],
  [{ shape: 'three' }, 'dpps dppd insertps'],

  // Moves
  [{ shape: 'two', wide: 'avx' }, 'movups movupd movdqu lddqu movsldup movshdup'],
  [{ shape: 'two', wide: 'avx', source: 'whole' }, 'movddup'],
  [{ shape: 'two', wide: 'avx', aligned: true }, 'movaps movapd movdqa movntps movntpd movntdq'],
  [{ shape: 'two', wide: 'avx2', aligned: true }, 'movntdqa'],
  [{ shape: 'two', wide: 'avx', bits: 4 }, 'movmskps'],
  [{ shape: 'two', wide: 'avx', bits: 2 }, 'movmskpd'],
  [{ shape: 'two', wide: 'avx2', bits: 16 }, 'pmovmskb'],
  [{ shape: 'two' }, 'movd movq maskmovdqu ldmxcsr stmxcsr'],
  [{ shape: 'three' }, 'movhlps movlhps'],

  // Integers, 256 bits with AVX2
  [
    { shape: 'three', wide: 'avx2' },
    `pand pandn por pxor paddb paddw paddd paddq paddsb paddsw paddusb paddusw psubb psubw psubd psubq psubsb psubsw psubusb
     psubusw pmullw pmulhw pmulhuw pmaddwd pmuludq pavgb pavgw psadbw pminub pmaxub pminsw pmaxsw pcmpeqb pcmpeqw pcmpeqd
     pcmpgtb pcmpgtw pcmpgtd psignb psignw psignd pmaddubsw pmulhrsw pmuldq pmulld pcmpeqq pcmpgtq pminsb pminsd pminuw
     pminud pmaxsb pmaxsd pmaxuw pmaxud punpcklbw punpcklwd punpckldq punpcklqdq punpckhbw punpckhwd punpckhdq punpckhqdq
     packsswb packuswb packssdw packusdw pshufb palignr pblendw phaddw phaddd phaddsw phsubw phsubd phsubsw pslldq psrldq`,
  ],
  [{ shape: 'three', wide: 'avx2', immediateShift: 3 }, 'mpsadbw'],
  [{ shape: 'three', wide: 'avx2', source: 'count' }, 'psllw pslld psllq psrlw psrld psrlq psraw psrad'],
  [{ shape: 'two', wide: 'avx2' }, 'pabsb pabsw pabsd pshufd pshuflw pshufhw'],
  [
    { shape: 'two', wide: 'avx2', source: 'half' },
    'pmovsxbw pmovsxbd pmovsxbq pmovsxwd pmovsxwq pmovsxdq pmovzxbw pmovzxbd pmovzxbq pmovzxwd pmovzxwq pmovzxdq',
  ],
  [{ shape: 'three' }, 'pinsrb pinsrw pinsrd'],
  [{ shape: 'two' }, 'pextrb pextrw pextrd extractps phminposuw ptest pcmpestri pcmpistri'],
];

function named(mnemonic: string): Instruction[] {
  const found = sse.filter((declared) => declared.mnemonic === mnemonic);
  if (found.length === 0) throw new Error(`SSE has no ${mnemonic}`);
  return found;
}

/** Loads have a second source, stores do not. */
const halfMoves = ['movlps', 'movlpd', 'movhps', 'movhpd']
  .flatMap(named)
  .flatMap((declared) =>
    declared.forms.flatMap((form) =>
      lifted({ ...declared, forms: [form] }, { shape: form[1].startsWith('M') ? 'two' : 'three' }),
    ),
  );

/** The mask goes to XMM0, which no operand names. */
const maskCompares = ['pcmpestrm', 'pcmpistrm'].flatMap(named).flatMap((declared) =>
  lifted(
    {
      ...declared,
      emit(e, ...operands) {
        declared.emit(e, ...operands);
        e.emit(v128.store(e.context, ZERO, CONTEXT.ymmHigh));
      },
    },
    { shape: 'two' },
  ),
);

export const avx: Family = {
  instructions: [
    ...LIFTED.flatMap(([lifting, mnemonics]) =>
      mnemonics.split(/\s+/).flatMap((mnemonic) => named(mnemonic).flatMap((declared) => lifted(declared, lifting))),
    ),
    ...halfMoves,
    ...maskCompares,
  ],
}; // prettier-ignore
