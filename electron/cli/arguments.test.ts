import { describe, expect, it } from 'vitest';
import { optionOf, parseArguments, parseNumber, parsePair, parseSize, UsageError } from './arguments.ts';

const specs = {
  cpus: { value: 'N', about: '' },
  put: { value: 'A:B', about: '', many: true },
  tty: { value: '', about: '' },
};

describe('command line', () => {
  it('sorts words, options and what follows --', () => {
    const args = parseArguments(
      ['m.ringside', '--cpus', '2', '--put=a:/b', '--put', 'c:/d', '--tty', '--', 'ls', '--cpus'],
      specs,
      'usage',
    );
    expect(args.words).toEqual(['m.ringside']);
    expect(optionOf(args, 'cpus')).toBe('2');
    expect(args.options.get('put')).toEqual(['a:/b', 'c:/d']);
    expect(args.rest).toEqual(['ls', '--cpus']);
  });
  it.each([
    ['an unknown option', ['--nope']],
    ['a missing value', ['--cpus']],
    ['an option given twice', ['--cpus', '1', '--cpus', '2']],
    ['a short option', ['-x']],
  ])('refuses %s', (_case, line) => {
    expect(() => parseArguments(line, specs, 'usage')).toThrow(UsageError);
  });
  it.each([
    ['256M', 256 * 1024 ** 2],
    ['1G', 1024 ** 3],
    ['64k', 65_536],
    ['100', 100],
    ['128MiB', 128 * 1024 ** 2],
  ])('reads the size %s', (text, bytes) => expect(parseSize(text, 'memory')).toBe(bytes));
  it.each(['', '-1', '1.5M', 'x'])('refuses the size %j', (text) =>
    expect(() => parseSize(text, 'memory')).toThrow(UsageError),
  );
  it('refuses numbers out of bounds', () =>
    expect(() => parseNumber('17', 'cpus', 1, 16)).toThrow(/from 1 to 16/));
  it('splits pairs at the colon before the guest path', () => {
    expect(parsePair('hello.c:/root/hello.c', 'put')).toEqual(['hello.c', '/root/hello.c']);
    expect(parsePair('/etc/motd:motd', 'get')).toEqual(['/etc/motd', 'motd']);
  });
});
