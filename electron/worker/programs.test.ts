import { describe, expect, it } from 'vitest';
import { commandText, readDiagnostics, recipeFor, shellWord } from './programs.ts';

describe('compiler messages', () => {
  it.each([
    [
      'tcc error',
      '/root/a.c:3: error: \';\' expected (got "}")',
      { file: '/root/a.c', line: 3, column: 0, severity: 'error', text: '\';\' expected (got "}")' },
    ],
    [
      'tcc warning',
      "a.c:7: warning: implicit declaration of function 'f'",
      {
        file: '/root/a.c',
        line: 7,
        column: 0,
        severity: 'warning',
        text: "implicit declaration of function 'f'",
      },
    ],
    [
      'gcc column',
      'a.c:2:5: note: declared here',
      { file: '/root/a.c', line: 2, column: 5, severity: 'note', text: 'declared here' },
    ],
    [
      'linker',
      "tcc: error: unresolved reference to 'foo'",
      { file: '', line: 0, column: 0, severity: 'error', text: "unresolved reference to 'foo'" },
    ],
  ])('reads a %s', (_case, line, diagnostic) => {
    expect(readDiagnostics(`In file included from b.h:1:\n${line}\n`, '/root')).toContainEqual(diagnostic);
  });
  it('finds nothing in what is no message', () =>
    expect(readDiagnostics('hello\nworld: 3\n', '/')).toEqual([]));
});

describe('recipes', () => {
  it('shows the command as a shell would need it', () => {
    const recipe = recipeFor("/root/it's.c");
    if (recipe === null) throw new Error('C is a language');
    expect(commandText(recipe, ['a b'])).toBe(
      "tcc -g -Wall -o '/tmp/it'\\''s' '/root/it'\\''s.c' -lm -lpthread && '/tmp/it'\\''s' 'a b'",
    );
  });
  it('knows what is no program', () => expect(recipeFor('/etc/motd')).toBeNull());
  it('quotes only what needs it', () =>
    expect([shellWord('a-b.c'), shellWord('a b'), shellWord('')]).toEqual(['a-b.c', "'a b'", "''"]));
});
