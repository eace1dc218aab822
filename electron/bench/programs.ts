// What the benchmark runs: our C programs (images/programs/bench), and programs of Debian on made-up input.
import { join } from 'node:path';
import { compilerInput, sqlInput, textInput } from '../../images/programs/bench/inputs.ts';

export const PROGRAMS_FOLDER = join(import.meta.dirname, '../../images/programs/bench');

export type Group = 'integer' | 'floating point' | 'kernel' | 'whole programs';

/** A C program of ours. Its n takes an x86-64 host of today 0.1 to 0.5 s. */
export interface CProgram {
  readonly name: string;
  readonly group: Group;
  readonly n: number;
  readonly flags: readonly string[];
}

const FLAGS = ['-O2', '-static'];
const inGroup = (group: Group, counts: Readonly<Record<string, number>>): CProgram[] =>
  Object.entries(counts).map(([name, n]) => ({ name, group, n, flags: FLAGS }));

export const cProgramsOfCpu: readonly CProgram[] = [
  ...inGroup('integer', {
    a_fib: 150,
    a_interp: 8_000_000,
    a_sha256: 400,
    a_sieve: 20,
    a_string: 2_000_000,
    a_quicksort: 30,
    a_crc: 1200,
    a_hash: 1500,
    a_lz: 80,
    a_intmatmul: 80,
  }),
  { name: 'b_matmul', group: 'floating point', n: 30, flags: ['-O3', '-static'] },
  ...inGroup('floating point', {
    b_nbody: 2_000_000,
    b_mandelbrot: 20,
    b_spectral: 1300,
    b_filter: 2000,
    b_packed: 8000,
    b_x87: 100_000,
  }),
];

export const cProgramsOfKernel: readonly CProgram[] = inGroup('kernel', {
  c_fork: 1000,
  c_getpid: 1_000_000,
  c_mmap: 200,
  c_pipe: 40_000,
});

/** A program of Debian. Paths are relative to the root of its files, from which it is run everywhere. */
export interface WholeProgram {
  readonly name: string;
  /** Size of its input: lines, bytes, turns, rows. */
  readonly n: number;
  /** n with --quick. */
  readonly quickN: number;
  readonly program: string;
  readonly isStatic: boolean;
  readonly args: (n: number) => readonly string[];
  /** Name of the input file to what is in it. */
  readonly inputs: (n: number) => Readonly<Record<string, () => string | Uint8Array>>;
  /** Files that it makes: they must come out the same everywhere. */
  readonly outputs: (n: number) => readonly string[];
}

export const WORK = 'bench';
const at = (name: string): string => `${WORK}/${name}`;
const source = (n: number): string => `functions-${n}.c`;
const rows = (n: number): string => `rows-${n}.sql`;
const text = (n: number): string => `text-${n}.txt`;

const TCC_FOLDER = 'usr/lib/x86_64-linux-gnu/tcc';
const GCC_FOLDER = 'usr/lib/gcc/x86_64-linux-gnu/12';

const tcc = {
  program: 'usr/bin/tcc',
  isStatic: false,
  args: (n: number) => [
    '-nostdinc', '-B', TCC_FOLDER, '-I', `${TCC_FOLDER}/include`, '-c', '-o', at(`tcc-${n}.o`), at(source(n)),
  ],
  inputs: (n: number) => ({ [source(n)]: () => compilerInput(n) }),
  outputs: (n: number) => [at(`tcc-${n}.o`)],
}; // prettier-ignore

export const wholePrograms: readonly WholeProgram[] = [
  { ...tcc, name: 'w_tcc', n: 5040, quickN: 5040 },
  { ...tcc, name: 'w_tcc_large', n: 100_008, quickN: 10_008 },
  {
    name: 'w_cc1',
    n: 5040,
    quickN: 1008,
    program: `${GCC_FOLDER}/cc1`,
    isStatic: false,
    args: (n) => [
      '-quiet', '-O0', '-nostdinc', '-isystem', `${GCC_FOLDER}/include`, at(source(n)), '-o', at(`cc1-${n}.s`),
    ],
    inputs: tcc.inputs,
    outputs: (n) => [at(`cc1-${n}.s`)],
  },
  {
    name: 'w_gzip',
    n: 10_000_000,
    quickN: 1_000_000,
    program: 'usr/bin/gzip',
    isStatic: false,
    args: (n) => ['-9', '-n', '-k', '-f', at(text(n))],
    inputs: (n) => ({ [text(n)]: () => textInput(n) }),
    outputs: (n) => [at(`${text(n)}.gz`)],
  },
  {
    name: 'w_sh',
    n: 100_000,
    quickN: 10_000,
    program: 'usr/bin/busybox',
    isStatic: true,
    args: (n) => ['sh', '-c', `i=0; while [ $i -lt ${n} ]; do i=$((i+1)); done; echo $i`],
    inputs: () => ({}),
    outputs: () => [],
  },
  {
    name: 'w_sqlite',
    n: 100_000,
    quickN: 10_000,
    program: 'usr/bin/sqlite3',
    isStatic: false,
    args: (n) => ['-batch', '-init', '/dev/null', at(`rows-${n}.db`), `.read ${at(rows(n))}`],
    inputs: (n) => ({ [rows(n)]: () => sqlInput(n) }),
    outputs: (n) => [at(`rows-${n}.db`)],
  },
]; // prettier-ignore
