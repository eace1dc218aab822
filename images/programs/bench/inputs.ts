/**
 * Input of the whole programs, the same on every host: a C file for compilers, text for gzip, statements for sqlite3.
 */

const LINES_PER_FUNCTION = 12;

/** A C file of about `lineCount` lines: functions with a table, a loop, a switch and a call of the one before. */
export function compilerInput(lineCount: number): string {
  const functionCount = Math.floor(lineCount / LINES_PER_FUNCTION);
  const lines = [
    '#include <stddef.h>',
    'typedef unsigned long u64;',
    'struct rec { u64 a, b; int k; char name[16]; };',
  ];
  for (let i = 0; i < functionCount; i++) {
    const table = Array.from({ length: 8 }, (_, j) => (i * 37 + j * 101) % 9973).join(', ');
    lines.push(
      `static u64 table${i}[8] = {${table}};`,
      `u64 func${i}(u64 x, struct rec *r) {`,
      `  u64 y = x * ${i * 2 + 1}ul;`,
      '  for (size_t j = 0; j < 8; j++) {',
      `    y ^= table${i}[j] + (x >> (j & ${(i % 31) + 1}));`,
      `    if (y % ${i + 3} == 0) y += r->a; else y -= r->b;`,
      '  }',
      `  switch (y & 3) { case 0: r->k = ${i}; break; case 1: r->a++; break; case 2: r->b ^= y; break; default: r->name[${i % 16}] = 'x'; }`,
      `  return y + ${i === 0 ? 'x' : `func${i - 1}(y >> 1, r)`};`,
      '}',
      '',
      '',
    );
  }
  const result = functionCount === 0 ? '0' : `(int)(func${functionCount - 1}(12345, &r) & 63)`;
  lines.push('int main(void) {', '  struct rec r = {0};', `  return ${result};`, '}', '');
  return lines.join('\n');
}

/** Numbers below a bound, from a linear congruential generator. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function wordList(next: (below: number) => number, count: number): string[] {
  const syllables = ['ba', 'con', 'de', 'er', 'fi', 'gra', 'ing', 'ka', 'lo', 'mi', 'nal', 'or', 'per', 'qua', 're', 'st', 'ti', 'ur', 've', 'zo']; // prettier-ignore
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + next(4) }, () => syllables[next(syllables.length)] ?? '').join(''),
  );
}

/** Text of exactly `byteCount` bytes: sentences of made-up words, the frequent ones often, and numbers. */
export function textInput(byteCount: number, seed = 1): Uint8Array {
  const next = numbers(seed);
  const words = wordList(next, 4000);
  const text = new Uint8Array(byteCount);
  const encoder = new TextEncoder();
  let at = 0;
  let column = 0;
  while (at < byteCount) {
    // The product of two makes low numbers frequent, as words are in languages.
    const word =
      next(12) === 0 ? String(next(100_000)) : (words[Math.floor((next(4000) * next(4000)) / 4000)] ?? '');
    const ending = next(9) === 0 ? (next(2) === 0 ? ',' : '.') : '';
    column += word.length + ending.length + 1;
    const isLineEnd = column > 72;
    if (isLineEnd) column = 0;
    const bytes = encoder.encode(`${word}${ending}${isLineEnd ? '\n' : ' '}`);
    text.set(bytes.subarray(0, byteCount - at), at);
    at += bytes.length;
  }
  return text;
}

/** SQL that inserts `rowCount` rows in one transaction and then asks for what is in the table. */
export function sqlInput(rowCount: number, seed = 1): string {
  const next = numbers(seed);
  const words = wordList(next, 1000);
  const lines = [
    'CREATE TABLE entry (id INTEGER PRIMARY KEY, name TEXT, amount INTEGER, note TEXT);',
    'CREATE INDEX entry_name ON entry (name);',
    'BEGIN;',
  ];
  for (let i = 0; i < rowCount; i++) {
    const [name, first, second] = [next(1000), next(1000), next(1000)].map((index) => words[index] ?? '');
    lines.push(
      `INSERT INTO entry (name, amount, note) VALUES ('${name}${i % 977}', ${next(1_000_000)}, '${first} ${second}');`,
    );
  }
  lines.push(
    'COMMIT;',
    'SELECT count(*), sum(amount), min(name), max(note) FROM entry;',
    "SELECT name, sum(amount) FROM entry WHERE name LIKE 'ba%' GROUP BY name ORDER BY 2 DESC LIMIT 5;",
    '',
  );
  return lines.join('\n');
}
