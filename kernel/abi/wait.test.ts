import { expect, it } from 'vitest';
import {
  endingSignal,
  exitCode,
  exitedStatus,
  hasDumped,
  hasExited,
  killedStatus,
  stoppedStatus,
} from './wait.ts';

it.each([
  [0, 0x0000],
  [3, 0x0300],
  [255, 0xff00],
  [256, 0x0000],
  [-1, 0xff00],
])('exit(%i) gives status %i', (code, status) => {
  expect(exitedStatus(code)).toBe(status);
  expect(hasExited(status)).toBe(true);
  expect(exitCode(status)).toBe(code & 0xff);
});

it('tells signals, cores and stops apart', () => {
  expect([killedStatus(9), killedStatus(11, true), stoppedStatus(19)]).toEqual([0x09, 0x8b, 0x137f]);
  expect([endingSignal(0x8b), hasDumped(0x8b), hasDumped(9), hasExited(9)]).toEqual([11, true, false, false]);
});
