// Tracepoints: declared beside the code that fires them, with the names and fields of Linux's. When none is enabled a
// tracepoint costs one test. An event goes to the run's hash and to the recorder's ring.
import type { Kernel } from '../state.ts';
import { record } from './recorder.ts';

/** How a field is stored and shown: u32/u64/s64 numbers, an address shown in hex, or a short text. */
export type FieldType = 'u32' | 's32' | 'u64' | 's64' | 'address' | 'text';

export interface Tracepoint<
  F extends Readonly<Record<string, FieldType>> = Readonly<Record<string, FieldType>>,
> {
  readonly id: number;
  readonly system: string;
  readonly name: string;
  readonly fields: F;
}

export type FieldValues<F extends Readonly<Record<string, FieldType>>> = {
  readonly [K in keyof F]: F[K] extends 'text' ? string : number;
};

const all: Tracepoint[] = [];

/** Every declared tracepoint, by id. The order of declaration is the order in which modules load, which is fixed. */
export const tracepoints: readonly Tracepoint[] = all;

export const COMM = 'text';
export const PID = 's32';
export const U32 = 'u32';
export const U64 = 'u64';
export const ADDRESS = 'address';

/** Declares a tracepoint `system:name`. */
export function tracepoint<const F extends Readonly<Record<string, FieldType>>>(
  system: string,
  name: string,
  fields: F,
): Tracepoint<F> {
  const point = { id: all.length, system, name, fields };
  all.push(point);
  return point;
}

/** Whether anybody listens. Test it before building the values. */
export function isOn(kernel: Kernel, point: Tracepoint): boolean {
  return kernel.trace.on && kernel.trace.enabled[point.id] === 1;
}

/** Fires: values in the order of the declaration. */
export function emit<F extends Readonly<Record<string, FieldType>>>(
  kernel: Kernel,
  point: Tracepoint<F>,
  values: FieldValues<F>,
): void {
  record(kernel, point, values);
}
