// The alternate signal stack, sigaltstack(2).
import { SS_AUTODISARM, SS_DISABLE, SS_ONSTACK } from '../abi/signal.ts';
import type { PendingSignals } from './state.ts';

type AltStack = PendingSignals['altStack'];

export const rangeHolds = (stack: AltStack, sp: number): boolean =>
  sp > stack.address && sp - stack.address <= stack.size;

/** Whether the stack pointer is on the alternate stack; one that disarms itself never counts. */
export function isOnAltStack(stack: AltStack, sp: number): boolean {
  if (stack.flags >= SS_AUTODISARM) return false;
  return rangeHolds(stack, sp);
}

/** SS_DISABLE, SS_ONSTACK or 0, as sigaltstack reports. */
export function altStackStatus(stack: AltStack, sp: number): number {
  if (stack.size === 0) return SS_DISABLE;
  return isOnAltStack(stack, sp) ? SS_ONSTACK : 0;
}

export const noAltStack = (): AltStack => ({ address: 0, size: 0, flags: SS_DISABLE });
