// The machine's tiers as the judge sees them: the interpreter alone, or with everything compiled at its first execution.

import * as door from '../index.ts';
import type { Machine } from '../cpu.ts';

export type Tier = 'interpreter' | 'compiler';

type Configure = (machine: Machine, options: { enabled: boolean; threshold: number }) => void;
const isConfigure = (value: unknown): value is Configure => typeof value === 'function';
const configure: unknown = Reflect.get(door, 'configureCompiler');

/** Whether there is a compiler to compare. */
export const hasCompiler = (): boolean => isConfigure(configure);

export function configureTier(machine: Machine, tier: Tier): void {
  if (isConfigure(configure)) configure(machine, { enabled: tier === 'compiler', threshold: 1 });
}
