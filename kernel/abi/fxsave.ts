// The 512-byte FXSAVE image (SDM 1, 10.5.1).
import { get16, get32, put16, put32 } from '../lib/bytes.ts';
import { FPE_FLTDIV, FPE_FLTINV, FPE_FLTOVF, FPE_FLTRES, FPE_FLTUND } from './signal.ts';

export const FXSAVE_SIZE = 512;
/** MXCSR bits that exist. */
export const MXCSR_MASK = 0xffff;

/** The state after FNINIT with MXCSR at its default: what a program and every signal handler start with. */
export function initialFxsave(): Uint8Array {
  const image = new Uint8Array(FXSAVE_SIZE);
  put16(image, 0, 0x37f);
  put32(image, 24, 0x1f80);
  put32(image, 28, MXCSR_MASK);
  return image;
}

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
