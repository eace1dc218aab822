// Compiles the C programs with the host's gcc, once for each source and each choice of flags.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAMS_FOLDER } from './programs.ts';

/** What the benchmark builds and unpacks; may be deleted at any time. */
export const BUILD_FOLDER = join(import.meta.dirname, '../../dist/bench');

/** Path of the executable. */
export function buildProgram(name: string, flags: readonly string[]): string {
  const source = join(PROGRAMS_FOLDER, `${name}.c`);
  const hash = createHash('sha256').update(JSON.stringify(flags));
  for (const file of [source, join(PROGRAMS_FOLDER, 'bench.h')]) hash.update(readFileSync(file));
  const folder = join(BUILD_FOLDER, 'bin');
  const path = join(folder, `${name}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const part = `${path}.${process.pid}.part`;
  const gcc = spawnSync('gcc', [...flags, '-o', part, source, '-lm'], { encoding: 'utf8' });
  if (gcc.error !== undefined)
    throw new Error('gcc is not here. Install it: sudo apt-get install gcc libc6-dev');
  if (gcc.status !== 0) throw new Error(`gcc cannot compile ${source}:\n${gcc.stderr}`);
  renameSync(part, path);
  return path;
}
