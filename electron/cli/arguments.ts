// The command line's words: options by name from one table for each command, then `--` and what follows it. Bad words
// give a UsageError, whose sentence says what to type.

export class UsageError extends Error {}

export interface OptionSpec {
  /** What stands behind it in the usage text; '' for a flag. */
  readonly value: string;
  readonly about: string;
  readonly many?: boolean;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

export interface Arguments {
  readonly words: readonly string[];
  /** By option; a flag has ['']. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  /** What follows `--`, or null without one. */
  readonly rest: readonly string[] | null;
}

/** Sorts the words of a command line by the command's options. */
export function parseArguments(line: readonly string[], specs: OptionSpecs, usage: string): Arguments {
  const words: string[] = [];
  const options = new Map<string, string[]>();
  for (let i = 0; i < line.length; i++) {
    const word = line[i] ?? '';
    if (word === '--') return { words, options, rest: line.slice(i + 1) };
    if (!word.startsWith('-') || word === '-') {
      words.push(word);
      continue;
    }
    const [name = '', inline] = word === '-o' ? ['out'] : word.replace(/^--/, '').split(/=(.*)/s, 2);
    const spec = specs[name];
    if (spec === undefined || !(word.startsWith('--') || word === '-o')) {
      throw new UsageError(`There is no option ${word} here.\n${usage}`);
    }
    const value = spec.value === '' ? '' : (inline ?? line[++i]);
    if (value === undefined) throw new UsageError(`${word} needs ${spec.value} behind it.\n${usage}`);
    const given = options.get(name) ?? [];
    if (given.length > 0 && spec.many !== true) throw new UsageError(`${word} is given twice.\n${usage}`);
    options.set(name, [...given, value]);
  }
  return { words, options, rest: null };
}

export const optionOf = (args: Arguments, name: string): string | undefined => args.options.get(name)?.[0];
export const hasOption = (args: Arguments, name: string): boolean => args.options.has(name);

/** A size such as 256M, 1G, 4096K or a number of bytes. */
export function parseSize(text: string, option: string): number {
  const match = /^(\d+)([KMG]?)(?:i?B)?$/i.exec(text);
  if (match === null) throw new UsageError(`--${option} ${text}: write a size such as 256M or 1G.`);
  const unit = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }[(match[2] ?? '').toUpperCase()] ?? 1;
  return Number(match[1]) * unit;
}

/** A whole number within bounds. */
export function parseNumber(text: string, option: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new UsageError(`--${option} ${text}: write a whole number from ${least} to ${most}.`);
  }
  return value;
}

/** HOST:GUEST or GUEST:HOST; the colon that counts is the last one before a `/`, else the last. */
export function parsePair(text: string, option: string): [string, string] {
  const colon = text.indexOf(':/') > 0 ? text.indexOf(':/') : text.lastIndexOf(':');
  if (colon < 1 || colon === text.length - 1)
    throw new UsageError(`--${option} ${text}: write two paths with a colon between them.`);
  return [text.slice(0, colon), text.slice(colon + 1)];
}
