/**
 * Reads columns of a row that SQLite gave. Any column may hold any type in a file that someone made up,
 * so each read checks what it finds.
 */
import { damaged } from './errors.ts';

function column(row: unknown, name: string): unknown {
  if (typeof row !== 'object' || row === null) throw damaged(`a row with ${name} is missing`);
  return Object.getOwnPropertyDescriptor(row, name)?.value;
}

export function integerOf(row: unknown, name: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = column(row, name);
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
    throw damaged(`${name} is not a number in its range`);
  }
  return value;
}

export function textOf(row: unknown, name: string): string {
  const value = column(row, name);
  if (typeof value !== 'string') throw damaged(`${name} is not text`);
  return value;
}

export function blobOf(row: unknown, name: string, maxBytes: number): Uint8Array {
  const value = column(row, name);
  if (!(value instanceof Uint8Array) || value.length > maxBytes)
    throw damaged(`${name} has a wrong size or type`);
  return value;
}

/** For a column that may be NULL. */
export function isNull(row: unknown, name: string): boolean {
  return column(row, name) === null;
}
