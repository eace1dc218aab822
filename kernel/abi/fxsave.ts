// The 512-byte FXSAVE image (SDM 1, 10.5.1).
import { put16, put32 } from '../lib/bytes.ts';

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
