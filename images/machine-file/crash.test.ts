/** Kills a writer at its n-th change of the database, for every n, and checks what is left. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createMachineFile, openMachineFile } from './index.ts';
import { config, inFolder } from './testing.ts';

const child = join(import.meta.dirname, 'crash-child.ts');
let folder = '';
let original = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringside-crash-'));
  original = join(folder, 'original.ringside');
  inFolder((_folder, image) => createMachineFile(original, { image, config }).close());
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function crashAt(scenario: string, n: number): { promised: number; hasEnded: boolean; path: string } {
  const path = join(folder, `${scenario}-${n}.ringside`);
  copyFileSync(original, path);
  const run = spawnSync(process.execPath, [child, path, scenario, String(n)], { encoding: 'utf8' });
  const lines = run.stdout.trim().split('\n');
  const promised = lines.filter((line) => line.startsWith('flushed')).length;
  const hasEnded = lines.includes('closed');
  if (run.signal !== 'SIGKILL' && !hasEnded) throw new Error(run.stderr);
  return { promised, hasEnded, path };
}

/** How many changes a scenario makes is not known beforehand: step on until the child ends by itself. */
it.each([
  ['flushes', 1],
  ['running', 3],
  ['snapshots', 5],
])('keeps every promise when killed at any change: %s', { timeout: 240_000 }, (scenario, step) => {
  let crashes = 0;
  for (let n = 0; ; n += step) {
    const { promised, hasEnded, path } = crashAt(scenario, n);
    const machine = openMachineFile(path);
    try {
      const generations = new Set<number>();
      for (let block = 0; block < 40; block++) {
        const bytes = machine.disk('vda').readBlocks(block * 7, 1);
        const view = new DataView(bytes.buffer);
        const generation = view.getUint32(4);
        generations.add(generation);
        if (generation > 0) expect(view.getUint32(0)).toBe(block);
      }
      // All of one generation: that of the last promise, or the next one, whose promise the kill cut short.
      const [generation = -1] = generations;
      expect([...generations]).toEqual([generation]);
      expect([promised, promised + 1]).toContain(generation);
      expect(machine.verify()).toEqual([]);
      const ram = new Uint8Array(config.memoryBytes);
      if (scenario === 'running' && generation > 0) {
        const loaded = machine.loadRunning({ ram, isZeroed: true }, (kernel) => kernel);
        expect(loaded?.kernel).toEqual({ generation });
        expect(new DataView(ram.buffer).getUint32(generation * 4096)).toBe(generation);
      }
      if (scenario === 'snapshots') {
        for (const { name, virtualNs } of machine.listSnapshots()) {
          const loaded = machine.loadSnapshot(name, { ram, isZeroed: false }, (kernel) => kernel);
          expect(loaded.kernel).toEqual({ generation: virtualNs });
          expect(new DataView(machine.disk('vda').readBlocks(7, 1).buffer).getUint32(4)).toBe(virtualNs);
        }
      }
    } finally {
      machine.close();
    }
    rmSync(path, { force: true });
    if (hasEnded) break;
    crashes++;
  }
  expect(crashes).toBeGreaterThan(10);
});
