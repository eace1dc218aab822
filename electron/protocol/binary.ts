/**
 * A layout in bytes, declared once: `size`, `put` and `take` of a value, composed by `fields` and `list`.
 * Counts are LEB128 (small ones are the rule), figures are float64, texts are length + UTF-8, without
 * names or padding. Reading checks every bound: a packet cut short gives a `ProtocolError`.
 */
import { ProtocolError } from './codec.ts';

export interface Writer {
  bytes: Uint8Array;
  view: DataView;
  at: number;
}
export interface Reader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at: number;
}
export interface Layout<T> {
  put(to: Writer, value: T): void;
  take(from: Reader): T;
}
export type LayoutOf<L> = L extends Layout<infer T> ? T : never;

export function newWriter(capacity = 16384): Writer {
  const bytes = new Uint8Array(capacity);
  return { bytes, view: new DataView(bytes.buffer), at: 0 };
}
export function newReader(bytes: Uint8Array): Reader {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), at: 0 };
}

function reserve(to: Writer, length: number): void {
  if (to.at + length <= to.bytes.length) return;
  const larger = new Uint8Array(Math.max(to.bytes.length * 2, to.at + length));
  larger.set(to.bytes);
  to.bytes = larger;
  to.view = new DataView(larger.buffer);
}

function expectBytes(from: Reader, length: number): void {
  if (from.at + length > from.bytes.length)
    throw new ProtocolError('bad-frame', 'A telemetry frame was cut short.');
}

/** A whole number from 0 to 2^53 - 1. What is below 0 or no number counts as 0, above as the largest. */
export const count: Layout<number> = {
  put(to, value) {
    reserve(to, 8);
    let rest = value > 0 ? Math.min(Math.floor(value), Number.MAX_SAFE_INTEGER) : 0;
    while (rest >= 128) {
      to.bytes[to.at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    to.bytes[to.at++] = rest;
  },
  take(from) {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      expectBytes(from, 1);
      const byte = from.bytes[from.at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw new ProtocolError('bad-frame', 'A telemetry frame holds a count that is too long.');
  },
};

/** A whole number of either sign, to 2^52. */
export const signed: Layout<number> = {
  put: (to, value) => count.put(to, value < 0 ? -value * 2 - 1 : value * 2),
  take(from) {
    const value = count.take(from);
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  },
};

export const figure: Layout<number> = {
  put(to, value) {
    reserve(to, 8);
    to.view.setFloat64(to.at, value, true);
    to.at += 8;
  },
  take(from) {
    expectBytes(from, 8);
    const value = from.view.getFloat64(from.at, true);
    from.at += 8;
    return value;
  },
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const blob: Layout<Uint8Array> = {
  put(to, value) {
    count.put(to, value.length);
    reserve(to, value.length);
    to.bytes.set(value, to.at);
    to.at += value.length;
  },
  take(from) {
    const length = count.take(from);
    expectBytes(from, length);
    const value = new Uint8Array(length);
    value.set(from.bytes.subarray(from.at, from.at + length));
    from.at += length;
    return value;
  },
};

export const text: Layout<string> = {
  put: (to, value) => blob.put(to, encoder.encode(value)),
  take: (from) => decoder.decode(blob.take(from)),
};

export function list<T>(item: Layout<T>): Layout<T[]> {
  return {
    put(to, values) {
      count.put(to, values.length);
      for (const value of values) item.put(to, value);
    },
    take(from) {
      const length = count.take(from);
      expectBytes(from, length); // every item has at least one byte
      const values: T[] = [];
      for (let i = 0; i < length; i++) values.push(item.take(from));
      return values;
    },
  };
}

/** A value that may be left out: null. */
export function maybe<T>(inner: Layout<T>): Layout<T | null> {
  return {
    put(to, value) {
      count.put(to, value === null ? 0 : 1);
      if (value !== null) inner.put(to, value);
    },
    take: (from) => (count.take(from) === 0 ? null : inner.take(from)),
  };
}

export function fields<F extends Readonly<Record<string, Layout<unknown>>>>(
  layouts: F,
): Layout<{ [K in keyof F]: LayoutOf<F[K]> }> {
  type Value = { [K in keyof F]: LayoutOf<F[K]> };
  const entries = Object.entries(layouts) as unknown as [keyof F & string, Layout<unknown>][]; // entries() widens
  return {
    put(to, value) {
      for (const [name, layout] of entries) layout.put(to, value[name]);
    },
    take(from) {
      const value: Record<string, unknown> = {};
      for (const [name, layout] of entries) value[name] = layout.take(from);
      return value as Value; // one entry for each field of F
    },
  };
}
