// The first stack of a program (fs/exec.c copy_strings, fs/binfmt_elf.c create_elf_tables):
//
//     stack top    8 zero bytes
//                  name of the file that was executed (AT_EXECFN)
//                  environment strings, the last one highest; argument strings below them
//                  "x86_64" (AT_PLATFORM), 16 random bytes (AT_RANDOM)
//                  auxiliary vector, NULL, envp[], NULL, argv[]
//     RSP          argc; a multiple of 16
import { AT } from '../abi/auxv.ts';
import { bytesOfLatin1, put64 } from '../lib/bytes.ts';

export interface StackRequest {
  /** End of the stack's area, a multiple of 4096. */
  readonly top: number;
  readonly fileName: string;
  readonly argv: readonly string[];
  readonly envp: readonly string[];
  /** Tags and values in order, without those that point into the stack and AT_NULL. */
  readonly auxv: readonly (readonly [tag: number, value: number])[];
  readonly hwcap2: number;
  readonly random: Uint8Array; // 16 bytes
  /** Further bytes below the strings, for randomisation. */
  readonly gap: number;
}

export interface InitialStack {
  readonly sp: number;
  /** From sp to top. */
  readonly bytes: Uint8Array;
  readonly argStart: number;
  readonly argEnd: number;
  readonly envStart: number;
  readonly envEnd: number;
  readonly auxv: Uint8Array;
}

const PLATFORM = 'x86_64';
const bytesOf = (strings: readonly string[]): number =>
  strings.reduce((sum, text) => sum + text.length + 1, 0);
const alignDown = (value: number): number => Math.floor(value / 16) * 16;

export function buildStack(request: StackRequest): InitialStack {
  const { top, argv, envp } = request;
  const execFn = top - 8 - (request.fileName.length + 1);
  const envStart = execFn - bytesOf(envp);
  const argStart = envStart - bytesOf(argv);
  const platform = alignDown(argStart - request.gap) - (PLATFORM.length + 1);
  const random = platform - 16;
  const auxv = auxvBytes([
    ...request.auxv,
    [AT.RANDOM, random],
    [AT.HWCAP2, request.hwcap2],
    [AT.EXECFN, execFn],
    [AT.PLATFORM, platform],
    [AT.NULL, 0],
  ]);
  const words = 1 + argv.length + 1 + envp.length + 1;
  const sp = alignDown(random - auxv.length - 8 * words);
  const bytes = new Uint8Array(top - sp);
  const place = (address: number, content: Uint8Array): void => bytes.set(content, address - sp);
  place(execFn, bytesOfLatin1(request.fileName));
  place(platform, bytesOfLatin1(PLATFORM));
  place(random, request.random);
  put64(bytes, 0, argv.length);
  let word = 8;
  for (const [strings, start] of [[argv, argStart], [envp, envStart]] as const) {
    let address = start;
    for (const text of strings) {
      place(address, bytesOfLatin1(text));
      put64(bytes, word, address);
      address += text.length + 1;
      word += 8;
    }
    word += 8; // NULL
  } // prettier-ignore
  bytes.set(auxv, word);
  return { sp, bytes, argStart, argEnd: envStart, envStart, envEnd: execFn, auxv };
}

function auxvBytes(entries: readonly (readonly [tag: number, value: number])[]): Uint8Array {
  const bytes = new Uint8Array(16 * entries.length);
  entries.forEach(([tag, value], i) => {
    put64(bytes, 16 * i, tag);
    put64(bytes, 16 * i + 8, value);
  });
  return bytes;
}
