// The machine's tiers as the judge sees them: the interpreter alone, or with everything compiled at its first execution.

import type { Machine } from '../cpu.ts';
import { configureCompiler } from '../index.ts';

export type Tier = 'interpreter' | 'compiler';

export function configureTier(machine: Machine, tier: Tier): void {
  configureCompiler(machine, { enabled: tier === 'compiler', threshold: 1 });
}
