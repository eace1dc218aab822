// Finding what an exec will run (fs/exec.c do_open_execat, search_binary_handler): the file, through `#!` lines to an
// interpreter, and for ELF its header, segments and dynamic loader. Everything here may block on the disk and changes
// nothing; files that were opened are given back when it fails.
import {
  BLOCKED, EACCES, EINVAL, EIO, ELIBBAD, ELOOP, ENOENT, ENOEXEC, ETXTBSY, failed, type Failure,
} from '../abi/errno.ts'; // prettier-ignore
import { MS, O } from '../abi/open-flags.ts';
import { readFile } from '../fs/vfs/file-io.ts';
import { newOpenFile, putFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { mountOf, type Path } from '../fs/vfs/path.ts';
import { MAY_EXEC, checkPermission } from '../fs/vfs/permission.ts';
import { walkPath } from '../fs/vfs/walk.ts';
import { latin1 } from '../lib/bytes.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import {
  BINPRM_BYTES, ELF_HEADER_BYTES, PT, interpreterPath, interpreterSizeValid, isElf, loadSegments, parseElfHeader, parseSegments,
  segmentsSize, wantsExecutableStack, type ElfHeader, type Segment,
} from './elf.ts'; // prettier-ignore
import { parseScript } from './script.ts';

/** Scripts may name scripts, so deep. */
const SCRIPT_DEPTH = 5;

export interface ExecRequest {
  /** Path, one char per byte, from `base` (null: the working directory). */
  readonly path: string;
  readonly base: Path | null;
  /** execveat with AT_EMPTY_PATH: the file itself; the caller keeps its reference. */
  readonly file: OpenFile | null;
  /** Symbolic links in the last place are refused (AT_SYMLINK_NOFOLLOW). */
  readonly noFollow: boolean;
  readonly argv: readonly string[];
  readonly envp: readonly string[];
  /** The name that argv and AT_EXECFN show, when it is not the path (execveat: /dev/fd/N). */
  readonly shownName: string;
}

export interface Image {
  readonly file: OpenFile;
  readonly header: ElfHeader;
  readonly loads: readonly Segment[];
}

export interface Program extends Image {
  readonly loader: Image | null;
  readonly executableStack: boolean;
  readonly argv: readonly string[];
  /** The file that was asked for, for setuid and comm; for scripts not the interpreter. */
  readonly execName: string;
}

export function findProgram(kernel: Kernel, task: Task, request: ExecRequest): Program | Failure {
  let { argv } = request;
  let path = request.path;
  let opened =
    request.file === null
      ? openForExec(kernel, task, request.base, path, request.noFollow)
      : takeFile(kernel, task, request.file);
  for (let depth = 0; ; depth++) {
    if (failed(opened)) return opened;
    const file = opened;
    const head = readBytesAt(kernel, task, file, 0, BINPRM_BYTES);
    if (failed(head)) return giveBack(kernel, file, head);
    const script = isElf(head) ? ENOEXEC : parseScript(latin1(head));
    if (failed(script)) {
      const program = readProgram(kernel, task, file, head);
      if (failed(program)) return giveBack(kernel, file, program);
      return { ...program, argv, execName: request.shownName };
    }
    putFile(kernel, file);
    if (depth >= SCRIPT_DEPTH) return ELOOP;
    const name = depth === 0 ? request.shownName : path;
    const extra = script.argument === '' ? [] : [script.argument];
    argv = [script.interpreter, ...extra, name, ...argv.slice(1)];
    path = script.interpreter;
    opened = openForExec(kernel, task, null, path, false);
  }
}

export function putProgram(kernel: Kernel, program: Program): void {
  putFile(kernel, program.file);
  if (program.loader !== null) putFile(kernel, program.loader.file);
}

function giveBack(kernel: Kernel, file: OpenFile, why: Failure): Failure {
  putFile(kernel, file);
  return why;
}

function openForExec(
  kernel: Kernel,
  task: Task,
  base: Path | null,
  text: string,
  noFollow: boolean,
): OpenFile | Failure {
  if (text === '') return ENOENT;
  const path = walkPath(kernel, task, base, text, { follow: !noFollow });
  if (failed(path)) return path;
  if (path.dentry.inode?.kind === 'symlink') return ELOOP;
  return openPlace(kernel, task, path);
}

function openPlace(kernel: Kernel, task: Task, path: Path): OpenFile | Failure {
  const { inode } = path.dentry;
  if (inode === null) return ENOENT;
  if (inode.kind !== 'file' || (mountOf(kernel, path).flags & MS.NOEXEC) !== 0) return EACCES;
  const allowed = checkPermission(kernel, task, inode, MAY_EXEC);
  if (failed(allowed)) return allowed;
  if (inode.writers > 0) return ETXTBSY;
  return newOpenFile(kernel, inode, path, O.RDONLY | O.LARGEFILE, inode.fileOperations);
}

function takeFile(kernel: Kernel, task: Task, file: OpenFile): OpenFile | Failure {
  return file.dentry === null ? EACCES : openPlace(kernel, task, { mount: file.mount, dentry: file.dentry });
}

/** Up to `length` bytes; fewer at the end of the file. */
function readBytesAt(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  position: number,
  length: number,
): Uint8Array | Failure {
  const bytes = new Uint8Array(length);
  if (position >= 2 ** 63) return EINVAL; // a negative offset
  if (position > Number.MAX_SAFE_INTEGER) return bytes.subarray(0, 0);
  const count = readFile(kernel, task, file, { kind: 'kernel', bytes }, position);
  return failed(count) ? count : bytes.subarray(0, count);
}

function readProgram(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  head: Uint8Array,
): Omit<Program, 'argv' | 'execName'> | Failure {
  const header = parseElfHeader(head);
  if (failed(header)) return header;
  const segments = readSegments(kernel, task, file, header, ENOEXEC);
  if (failed(segments)) return segments;
  const loads = loadSegments(segments);
  const named = segments.find(({ type }) => type === PT.INTERP);
  const loader = named === undefined ? null : openLoader(kernel, task, file, named);
  if (failed(loader)) return loader;
  return { file, header, loads, loader, executableStack: wantsExecutableStack(segments) };
}

function readSegments(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  header: ElfHeader,
  bad: Failure,
): Segment[] | Failure {
  const size = segmentsSize(header);
  const bytes = readBytesAt(kernel, task, file, header.phoff, size);
  if (bytes === BLOCKED) return bytes;
  return failed(bytes) || bytes.length < size ? bad : parseSegments(bytes);
}

/** The dynamic loader that PT_INTERP names. */
function openLoader(kernel: Kernel, task: Task, program: OpenFile, named: Segment): Image | Failure {
  if (!interpreterSizeValid(named)) return ENOEXEC;
  const text = readBytesAt(kernel, task, program, named.offset, named.fileSize);
  if (failed(text)) return text;
  if (text.length < named.fileSize) return EIO;
  const path = interpreterPath(text);
  if (failed(path)) return path;
  const file = openForExec(kernel, task, null, path, false);
  if (failed(file)) return file;
  const image = readLoader(kernel, task, file);
  return failed(image) ? giveBack(kernel, file, image) : image;
}

function readLoader(kernel: Kernel, task: Task, file: OpenFile): Image | Failure {
  const head = readBytesAt(kernel, task, file, 0, ELF_HEADER_BYTES);
  if (failed(head)) return head;
  if (head.length < ELF_HEADER_BYTES) return EIO;
  const header = parseElfHeader(head, ELIBBAD);
  if (failed(header)) return header;
  const segments = readSegments(kernel, task, file, header, ELIBBAD);
  if (failed(segments)) return segments;
  return { file, header, loads: loadSegments(segments) };
}
