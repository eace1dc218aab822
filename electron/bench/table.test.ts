import { describe, expect, it } from 'vitest';
import type { Row } from './statistics.ts';
import { columns, figure, tableOf } from './table.ts';

describe('figures', () => {
  it.each([
    [123.4, '123'],
    [12.34, '12.3'],
    [1.234, '1.23'],
    [0.1234, '0.123'],
    [NaN, '–'],
    [Infinity, '–'],
  ])('%d is %s', (value, text) => expect(figure(value)).toBe(text));
});

describe('columns', () => {
  it('are as wide as their widest cell', () => {
    expect(
      columns([
        ['name', 'n'],
        ['a', '100'],
      ]),
    ).toEqual(['name    n', 'a     100']);
  });

  it('may be none', () => expect(columns([])).toEqual([]));
});

describe('the table', () => {
  const one = (seconds: number) => [{ seconds, cpuSeconds: seconds, instructions: 5e6 * seconds }];
  const row: Row = {
    program: 'a_fib',
    group: 'integer',
    n: 15,
    samples: {
      native: { whole: one(0.2), empty: one(0.1) },
      qemu: { whole: one(1.1), empty: one(0.1) },
      ringside: { whole: one(0.6), empty: one(0.1) },
    },
    checksum: '1',
    problems: [],
  };

  it('has a line for each program and each group', () => {
    expect(tableOf([row]).split('\n')).toEqual([
      'program   n  native s  qemu s  /native  Ringside s  /native  qemu/Ringside  with start-up  MIPS',
      'a_fib    15     0.100    1.00    10.0×       0.500    5.00×          2.00×          1.83×  5.00',
      '',
      'geometric means  programs  qemu/native  Ringside/native  qemu/Ringside  slowest  with start-up',
      'integer                 1        10.0×            5.00×          2.00×    2.00×          1.83×',
    ]);
  });

  it('shows what failed', () => {
    const text = tableOf([{ ...row, samples: {}, problems: ['qemu gives "1" where native gives "2"'] }]);
    expect(text).toContain('a_fib (!)');
    expect(text).toContain('(!) a_fib: qemu gives "1" where native gives "2"');
  });
});
