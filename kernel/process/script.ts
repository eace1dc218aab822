// `#!` lines (fs/binfmt_script.c): interpreter and at most one argument, both from the file's first 256 bytes.
import { ENOEXEC, type Failure } from '../abi/errno.ts';
import { BINPRM_BYTES } from './elf.ts';

export interface ScriptLine {
  readonly interpreter: string;
  /** The rest of the line as one argument; '' for none. */
  readonly argument: string;
}

const isBlank = (char: string | undefined): boolean => char === ' ' || char === '\t';

/** The first line of a script, or ENOEXEC. `head` is what was read of the file, one char per byte. */
export function parseScript(head: string): ScriptLine | Failure {
  if (!head.startsWith('#!')) return ENOEXEC;
  const newline = head.indexOf('\n');
  let line = newline < 0 ? head.slice(2, BINPRM_BYTES) : head.slice(2, newline);
  if (newline < 0) {
    // A line that may go on past what was read is refused, unless the interpreter's name surely ended.
    const cut = head.length >= BINPRM_BYTES;
    if (cut && !/^[ \t]*[^ \t\0]+[ \t\0]/.test(line)) return ENOEXEC;
  }
  const nul = line.indexOf('\0');
  if (nul >= 0) line = line.slice(0, nul);
  let start = 0;
  let end = line.length;
  while (isBlank(line[start])) start++;
  while (end > start && isBlank(line[end - 1])) end--;
  const text = line.slice(start, end);
  if (text === '') return ENOEXEC;
  const gap = text.search(/[ \t]/);
  if (gap < 0) return { interpreter: text, argument: '' };
  return { interpreter: text.slice(0, gap), argument: text.slice(gap).replace(/^[ \t]+/, '') };
}
