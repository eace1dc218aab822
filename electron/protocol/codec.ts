/**
 * Checks that are types. A `Check<T>` turns an unknown value into a `T` or throws a `ProtocolError` that
 * names the place (`ask.maps[3].start`) and what was expected there. `Of<typeof check>` is the type, so a
 * message's check and its type are one line.
 *
 * Whatever comes through a socket is hostile: objects are copied field by field (unknown fields are
 * dropped), numbers are finite, strings and lists have a longest length.
 */

export interface Check<T> {
  /** In words, for messages: "a string". */
  readonly expects: string;
  parse(value: unknown, path: string): T;
}

export type Of<C> = C extends Check<infer T> ? T : never;

/** What an error carries from one process to another. `hint` says what the user can do. */
export interface Problem {
  code: string;
  message: string;
  hint: string | null;
}

export class ProtocolError extends Error {
  readonly code: string;
  readonly hint: string | null;
  constructor(code: string, message: string, hint: string | null = null) {
    super(message);
    this.name = 'ProtocolError';
    this.code = code;
    this.hint = hint;
  }
}

const LONGEST_STRING = 64 * 1024 * 1024;
const LONGEST_LIST = 4_000_000;

function refuse(path: string, expects: string, value: unknown): never {
  const got = value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value;
  throw new ProtocolError('bad-message', `${path}: expected ${expects}, got ${got}`);
}

function check<T>(expects: string, accepts: (value: unknown) => value is T): Check<T> {
  return { expects, parse: (value, path) => (accepts(value) ? value : refuse(path, expects, value)) };
}

export function string(longest = LONGEST_STRING): Check<string> {
  return check(`a string of at most ${longest} characters`, (value): value is string => {
    return typeof value === 'string' && value.length <= longest;
  });
}

export function number(): Check<number> {
  return check(
    'a finite number',
    (value): value is number => typeof value === 'number' && Number.isFinite(value),
  );
}

/** A whole number from `least` to `most`, both included. */
export function integer(least = Number.MIN_SAFE_INTEGER, most = Number.MAX_SAFE_INTEGER): Check<number> {
  return check(`a whole number from ${least} to ${most}`, (value): value is number => {
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most;
  });
}

export function boolean(): Check<boolean> {
  return check('true or false', (value) => typeof value === 'boolean');
}

export function oneOf<const T extends readonly string[]>(...words: T): Check<T[number]> {
  const known: readonly string[] = words;
  return check(`one of ${words.join(', ')}`, (value): value is T[number] => {
    return typeof value === 'string' && known.includes(value);
  });
}

export function nullable<T>(inner: Check<T>): Check<T | null> {
  return {
    expects: `${inner.expects} or null`,
    parse: (value, path) => (value === null ? null : inner.parse(value, path)),
  };
}

export function array<T>(item: Check<T>, longest = LONGEST_LIST): Check<T[]> {
  const expects = `a list of at most ${longest}, each ${item.expects}`;
  return {
    expects,
    parse(value, path) {
      if (!Array.isArray(value) || value.length > longest) refuse(path, expects, value);
      return value.map((entry, index) => item.parse(entry, `${path}[${index}]`));
    },
  };
}

/** A dictionary with free names. */
export function record<T>(item: Check<T>): Check<Record<string, T>> {
  const expects = `an object, each field ${item.expects}`;
  return {
    expects,
    parse(value, path) {
      if (!isPlainObject(value)) refuse(path, expects, value);
      const entries = Object.entries(value).map(([name, entry]) => [
        name,
        item.parse(entry, `${path}.${name}`),
      ]);
      return Object.fromEntries(entries) as Record<string, T>; // fromEntries loses the type of what parse gave
    },
  };
}

const OPTIONAL = Symbol('optional');
/** A field that may be missing. Only inside `object`. */
export interface OptionalCheck<T> extends Check<T | undefined> {
  readonly [OPTIONAL]: true;
}

export function optional<T>(inner: Check<T>): OptionalCheck<T> {
  return {
    [OPTIONAL]: true,
    expects: `${inner.expects}, or nothing`,
    parse: (value, path) => (value === undefined ? undefined : inner.parse(value, path)),
  };
}

type Fields = Readonly<Record<string, Check<unknown>>>;
type OptionalNames<F> = { [K in keyof F]: F[K] extends OptionalCheck<unknown> ? K : never }[keyof F];
type Flat<T> = { [K in keyof T]: T[K] };
export type ObjectOf<F> = Flat<
  { [K in Exclude<keyof F, OptionalNames<F>>]: Of<F[K]> } & {
    [K in OptionalNames<F>]?: Exclude<Of<F[K]>, undefined> | undefined;
  }
>;

export function object<F extends Fields>(fields: F): Check<ObjectOf<F>> {
  const list = Object.entries(fields);
  const expects = `an object with ${list.map(([name]) => name).join(', ') || 'no fields'}`;
  return {
    expects,
    parse(value, path) {
      if (!isPlainObject(value)) refuse(path, expects, value);
      const result: Record<string, unknown> = {};
      for (const [name, field] of list) {
        const parsed = field.parse(Object.hasOwn(value, name) ? value[name] : undefined, `${path}.${name}`);
        if (parsed !== undefined) result[name] = parsed;
      }
      return result as ObjectOf<F>; // built from exactly these fields
    },
  };
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

export function bytes(): Check<Uint8Array> {
  return check('bytes', (value) => value instanceof Uint8Array);
}
/** A column of times or measured values: sent as raw memory, not as text. */
export function float64s(): Check<Float64Array> {
  return check('a column of float64', (value) => value instanceof Float64Array);
}
/** A column of ids or counts. */
export function int32s(): Check<Int32Array> {
  return check('a column of int32', (value) => value instanceof Int32Array);
}
