// Running the file in the editor: how each language is compiled and started in the guest, and what compilers say, read.
import type { Diagnostic } from '../protocol/reports.ts';

/** How a source file becomes a running program. */
export interface Recipe {
  /** The compiler's words, or null where nothing is compiled. */
  readonly compile: readonly string[] | null;
  readonly run: readonly string[];
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** The recipe for a path by its suffix, or null for a file that is not a program. */
export function recipeFor(path: string): Recipe | null {
  const name = baseName(path);
  const suffix = name.includes('.') ? name.slice(name.lastIndexOf('.') + 1) : '';
  const program = `/tmp/${name.replace(/\.[^.]*$/, '')}`;
  switch (suffix) {
    case 'c':
      return { compile: ['tcc', '-g', '-Wall', '-o', program, path, '-lm', '-lpthread'], run: [program] };
    case 's':
    case 'S':
      return { compile: ['tcc', '-g', '-o', program, path], run: [program] };
    case 'sh':
      return { compile: null, run: ['sh', path] };
    case 'py':
      return { compile: null, run: ['python3', path] };
    default:
      return null;
  }
}

/** A word as a shell would need it typed. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The whole as typed in a shell, for the user to see and to repeat. */
export function commandText(recipe: Recipe, programArguments: readonly string[]): string {
  const run = [...recipe.run, ...programArguments].map(shellWord).join(' ');
  return recipe.compile === null ? run : `${recipe.compile.map(shellWord).join(' ')} && ${run}`;
}

/**
 * Reads a compiler's messages: `file:line: error: text` (tcc), `file:line:column: warning: text` (gcc), and tcc's
 * `In file included from …:` lines, which carry no message of their own.
 */
export function readDiagnostics(output: string, directory: string): Diagnostic[] {
  const found: Diagnostic[] = [];
  for (const line of output.split('\n')) {
    const match =
      /^(?:tcc: )?(?!In file included)([^:\s][^:]*):(\d+)(?::(\d+))?: (?:(fatal error|error|warning|note): )?(.+)$/.exec(
        line,
      );
    if (match !== null) {
      const [, file = '', lineNumber = '0', column = '0', severity = 'error', text = ''] = match;
      found.push({
        file: file.startsWith('/') ? file : `${directory}/${file}`, line: Number(lineNumber), column: Number(column),
        severity: severity === 'warning' || severity === 'note' ? severity : 'error', text,
      }); // prettier-ignore
      continue;
    }
    const plain = /^tcc: (?:(error|warning): )?(.+)$/.exec(line);
    if (plain !== null) {
      found.push({
        file: '',
        line: 0,
        column: 0,
        severity: plain[1] === 'warning' ? 'warning' : 'error',
        text: plain[2] ?? '',
      });
    }
  }
  return found;
}
