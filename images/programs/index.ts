/**
 * Our own guest programs: C sources with what they print. The host is the oracle: `programs.test.ts` compiles
 * them there and compares, and the guest's tests run the same sources inside.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export { largeProgram } from './large-program.ts';
export type { GeneratedProgram } from './large-program.ts';

export interface GuestProgram {
  readonly name: string;
  /** Host path of the source. */
  readonly path: string;
  readonly source: string;
  readonly args: readonly string[];
  /** What it prints, where that does not depend on the machine. */
  readonly expected: string | undefined;
}

function optional(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** All programs: `NAME.c`, with `NAME.args` and `NAME.expected` where there are such files. */
export function guestPrograms(): GuestProgram[] {
  const folder = import.meta.dirname;
  return readdirSync(folder)
    .filter((file) => file.endsWith('.c'))
    .sort()
    .map((file) => {
      const name = file.slice(0, -2);
      const args = optional(join(folder, `${name}.args`))?.trim() ?? '';
      return {
        name,
        path: join(folder, file),
        source: readFileSync(join(folder, file), 'utf8'),
        args: args === '' ? [] : args.split(/\s+/),
        expected: optional(join(folder, `${name}.expected`)),
      };
    });
}
