// How a system call is declared: number, name, typed arguments and the function that does it. Dispatch, argument
// decoding, strace text, sys_enter/exit events and the coverage page follow from the declaration.
import type { Failure } from '../abi/errno.ts';
import type { Kernel } from '../state.ts';
import type { Task } from '../sched/task.ts';

/**
 * How a 64-bit register becomes an argument. `int` 32 bits signed; `uint` 32 bits unsigned; `long` 64 bits signed (a
 * number, rounded above 2^53); `size` and `pointer` 64 bits unsigned (rounded above 2^53: no valid address is that large);
 * `big` all 64 bits, unsigned, a bigint.
 */
export type ArgumentKind = 'int' | 'uint' | 'long' | 'size' | 'pointer' | 'big';

export interface ArgumentType {
  readonly kind: ArgumentKind;
  /** How strace shows it. */
  readonly show:
    'number' | 'hex' | 'octal' | 'fd' | 'path' | 'string' | 'buffer' | 'pointer' | 'flags' | 'signal';
}

export const FD = { kind: 'int', show: 'fd' } as const satisfies ArgumentType;
export const INT = { kind: 'int', show: 'number' } as const satisfies ArgumentType;
export const UINT = { kind: 'uint', show: 'number' } as const satisfies ArgumentType;
export const FLAGS = { kind: 'uint', show: 'hex' } as const satisfies ArgumentType;
export const MODE = { kind: 'uint', show: 'octal' } as const satisfies ArgumentType;
export const SIGNAL = { kind: 'int', show: 'signal' } as const satisfies ArgumentType;
export const LONG = { kind: 'long', show: 'number' } as const satisfies ArgumentType;
export const SIZE = { kind: 'size', show: 'number' } as const satisfies ArgumentType;
export const POINTER = { kind: 'pointer', show: 'pointer' } as const satisfies ArgumentType;
/** Address of a path, read from user memory by the handler. */
export const PATH = { kind: 'pointer', show: 'path' } as const satisfies ArgumentType;
export const BIG = { kind: 'big', show: 'hex' } as const satisfies ArgumentType;

/** Address of a buffer; `length` names the argument that says how long it is. */
export function userBuffer(
  _direction: 'in' | 'out',
  _length: string,
): { readonly kind: 'pointer'; readonly show: 'buffer' } {
  return { kind: 'pointer', show: 'buffer' };
}

export type ArgumentValues<A extends Readonly<Record<string, ArgumentType>>> = {
  readonly [K in keyof A]: A[K]['kind'] extends 'big' ? bigint : number;
};

export interface SyscallDeclaration<
  A extends Readonly<Record<string, ArgumentType>> = Readonly<Record<string, ArgumentType>>,
> {
  readonly number: number;
  readonly name: string;
  readonly args: A; // at most six, in the order rdi rsi rdx r10 r8 r9
  readonly returns?: ArgumentType;
  /** What is not there yet, in words, for the coverage page. */
  readonly missing?: string;
  /** Gives the result, a Failure, or BLOCKED. A bigint where all 64 bits count. */
  run(kernel: Kernel, task: Task, args: ArgumentValues<A>): number | bigint | Failure;
}

/** Declares a system call; its family's file exports it and syscalls/table.ts indexes whole families. */
export function syscall<const A extends Readonly<Record<string, ArgumentType>>>(
  declaration: SyscallDeclaration<A>,
): SyscallDeclaration<A> {
  return declaration;
}
