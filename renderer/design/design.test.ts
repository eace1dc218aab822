/** Figures as text, sizes from text, CSV, key chords. */
import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatInstant,
  formatPercent,
  formatShort,
  parseSize,
  toCsv,
} from './format.ts';
import { chordOf, matches, parseChord, writeChord } from './keys.ts';

const plain = (text: string) => text.replaceAll('\u202f', ' ');

describe('figures', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1536, '1.50 KiB'],
    [10_485_760, '10.0 MiB'],
    [268_435_456, '256 MiB'],
    [1_073_600_000, '1.00 GiB'],
    [-2048, '−2.00 KiB'],
    [Number.NaN, '–'],
  ])('%d bytes', (bytes, text) => expect(plain(formatBytes(bytes))).toBe(text));
  it.each([
    [0, '0 ns'],
    [999, '999 ns'],
    [1500, '1.50 µs'],
    [12_340_000, '12.3 ms'],
    [1e9, '1.00 s'],
    [83e9, '83.0 s'],
    [600e9, '10 min'],
    [7260e9, '2 h 1 min'],
  ])('%d ns', (ns, text) => expect(plain(formatDuration(ns))).toBe(text));
  it('instants to the microsecond', () => expect(plain(formatInstant(12_345_678_900))).toBe('12.345 678 s'));
  it('counts in groups', () => expect(plain(formatCount(1_234_567))).toBe('1 234 567'));
  it.each([
    [0, '0'],
    [3.14159, '3.14'],
    [9999, '9999'],
    [12_300, '12.3 k'],
    [5e6, '5 M'],
  ])('%d in short', (value, text) => {
    expect(plain(formatShort(value))).toBe(text);
  });
  it('shares', () =>
    expect([0, 0.016, 0.5, 1].map((share) => plain(formatPercent(share)))).toEqual([
      '0.0 %',
      '1.6 %',
      '50 %',
      '100 %',
    ]));
  it.each([
    ['256', 268_435_456],
    ['256M', 268_435_456],
    ['1 GiB', 1_073_741_824],
    ['64k', 65_536],
    ['0', 0],
    ['much', undefined],
    ['-1', undefined],
  ])('the size "%s"', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });
  it('CSV quotes what needs it', () =>
    expect(toCsv(['a', 'b,c'], [[1, 'say "x"']])).toBe('a,"b,c"\r\n1,"say ""x"""\r\n'));
});

describe('chords', () => {
  const press = (
    key: string,
    code: string,
    modifiers: Partial<Record<'ctrlKey' | 'shiftKey' | 'altKey' | 'metaKey', boolean>> = {},
  ) => ({
    ctrlKey: false,
    shiftKey: false,
    altKey: false,
    metaKey: false,
    key,
    code,
    ...modifiers,
  });
  it.each([
    ['Ctrl+Shift+P', press('P', 'KeyP', { ctrlKey: true, shiftKey: true }), true],
    ['Ctrl+P', press('p', 'KeyP', { ctrlKey: true }), true],
    ['Ctrl+P', press('P', 'KeyP', { ctrlKey: true, shiftKey: true }), false],
    ['Ctrl+`', press('Dead', 'Backquote', { ctrlKey: true }), true],
    ['Ctrl+Alt+1', press('¹', 'Digit1', { ctrlKey: true, altKey: true }), true],
    ['F5', press('F5', 'F5'), true],
    ['F5', press('F5', 'F5', { metaKey: true }), false],
  ])('%s', (text, event, expected) => {
    const chord = parseChord(text);
    expect(chord !== undefined && matches(chord, event, false)).toBe(expected);
  });
  it('are written as they are pressed', () => {
    expect(chordOf(press('p', 'KeyP', { ctrlKey: true }), false)).toBe('Ctrl+P');
    expect(chordOf(press('Control', 'ControlLeft', { ctrlKey: true }), false)).toBeUndefined();
    expect(writeChord('Ctrl+Shift+P', true)).toBe('⌘⇧P');
    expect(parseChord('Hyper+X')).toBeUndefined();
  });
});
