// Names of cases that have once differed. Every run begins with them.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FILE = join(import.meta.dirname, 'seeds.json');

export function keptSeeds(): string[] {
  const parsed: unknown = JSON.parse(readFileSync(FILE, 'utf8'));
  return Array.isArray(parsed) ? parsed.filter((name): name is string => typeof name === 'string') : [];
}

export function keepSeeds(names: readonly string[]): void {
  const all = [...new Set([...keptSeeds(), ...names])].sort();
  writeFileSync(FILE, `${JSON.stringify(all, undefined, 1)}\n`);
}
