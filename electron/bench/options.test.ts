import { describe, expect, it } from 'vitest';
import { isWanted, parseOptions } from './options.ts';

describe('the words of the command line', () => {
  it('have defaults', () => {
    expect(parseOptions(['cpu'])).toMatchObject({
      mode: 'cpu', only: [], runs: 3, quick: false, qemu: true, native: true, compiler: 'on', clock: 'wall',
    }); // prettier-ignore
  });

  it('choose programs and contenders', () => {
    const options = parseOptions([
      'kernel',
      '--only',
      'c_fork,c_pipe',
      '--no-qemu',
      '--compiler',
      'off',
      '--runs=5',
    ]);
    expect(options).toMatchObject({
      only: ['c_fork', 'c_pipe'],
      qemu: false,
      native: true,
      compiler: 'off',
      runs: 5,
    });
    expect(parseOptions(['cpu', '--only-ringside'])).toMatchObject({ qemu: false, native: false });
  });

  it.each([
    ['no mode', []],
    ['another mode', ['gpu']],
    ['two modes', ['cpu', 'kernel']],
    ['no run', ['cpu', '--runs', '0']],
    ['another compiler state', ['cpu', '--compiler', 'maybe']],
    ['another clock', ['cpu', '--clock', 'sun']],
  ])('are refused: %s', (_case, words) => expect(() => parseOptions(words)).toThrow());

  it.each([
    ['a_fib', [], true],
    ['a_fib', ['a_fib'], true],
    ['a_fib', ['a_'], true],
    ['a_fib', ['a_f'], false],
    ['w_tcc_large', ['w_tcc'], false],
    ['b_nbody', ['a_', 'b_nbody'], true],
  ])('%s with --only %j: %s', (name, only, wanted) => expect(isWanted(name, only)).toBe(wanted));
});
