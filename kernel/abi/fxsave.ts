// The 512-byte FXSAVE image (SDM 1, 10.5.1).
import { get16, get32 } from '../lib/bytes.ts';
import { FPE_FLTDIV, FPE_FLTINV, FPE_FLTOVF, FPE_FLTRES, FPE_FLTUND } from './signal.ts';

/** MXCSR bits that exist. */
export const MXCSR_MASK = 0xffff;

/** si_code of a floating-point exception: the first unmasked one that is flagged (fpu__exception_code). */
export function fpeCode(image: Uint8Array, unit: 'x87' | 'sse'): number {
  const mxcsr = get32(image, 24);
  const flagged = unit === 'x87' ? get16(image, 2) & ~get16(image, 0) : mxcsr & ~(mxcsr >>> 7);
  if ((flagged & 0x01) !== 0) return FPE_FLTINV;
  if ((flagged & 0x04) !== 0) return FPE_FLTDIV;
  if ((flagged & 0x08) !== 0) return FPE_FLTOVF;
  if ((flagged & 0x12) !== 0) return FPE_FLTUND; // underflow or denormal
  return (flagged & 0x20) === 0 ? 0 : FPE_FLTRES;
}
