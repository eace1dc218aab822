import { describe, expect, it } from 'vitest';
import * as T from '../abi/termios.ts';
import { bytesOfLatin1, latin1 } from '../lib/bytes.ts';
import { newLine, newLineEffects, LINE_BYTES, type Line } from './line.ts';
import { lineRoom, receiveByte } from './line-input.ts';
import { hasInput, inputLength, modeChanged, peekLine, takeLine } from './line-read.ts';

type Change = (termios: T.Termios) => void;

function type(line: Line, termios: T.Termios, input: string): { echo: string; signals: number[] } {
  const effects = newLineEffects();
  for (const byte of bytesOfLatin1(input))
    if (lineRoom(line, termios) > 0) receiveByte(line, termios, byte, effects);
  return { echo: latin1(Uint8Array.from(effects.output)), signals: effects.signals };
}

/** What reads of `size` bytes give, one after the other, while there is input. */
function reads(line: Line, termios: T.Termios, size = 100): string[] {
  const found: string[] = [];
  while (hasInput(line, termios)) {
    const taken = peekLine(line, termios, size);
    found.push(latin1(taken.bytes));
    takeLine(line, taken);
  }
  return found;
}

const raw: Change = (t) => (t.lflag &= ~(T.ICANON | T.ECHO | T.ISIG | T.IEXTEN));
const plain: Change = () => undefined;

describe('the line discipline', () => {
  it.each<[string, Change, string, string, string[]]>([
    ['a line', plain, 'ls -l\r', 'ls -l\r\n', ['ls -l\n']],
    ['an unfinished line', plain, 'ls', 'ls', []],
    ['two lines, read one by one', plain, 'a\rb\r', 'a\r\nb\r\n', ['a\n', 'b\n']],
    ['erase', plain, 'ab\x7fc\r', 'ab\b \bc\r\n', ['ac\n']],
    ['erase in an empty line', plain, '\x7fa\r', 'a\r\n', ['a\n']],
    ['erase a control character', plain, 'a\x01\x7f\r', 'a^A\b \b\b \b\r\n', ['a\n']],
    ['erase a tab', plain, 'ab\t\x7f\r', 'ab\t\b\b\b\b\b\b\r\n', ['ab\n']],
    [
      'erase a UTF-8 character',
      (t) => (t.iflag |= T.IUTF8),
      'a\xc3\xa4\x7f\r',
      'a\xc3\xa4\b \b\r\n',
      ['a\n'],
    ],
    ['erase a byte without IUTF8', plain, '\xc3\xa4\x7f\r', '\xc3\xa4\b \b\r\n', ['\xc3\n']],
    ['word erase', plain, 'one two\x17\r', 'one two\b \b\b \b\b \b\r\n', ['one \n']],
    ['kill', plain, 'abc\x15x\r', 'abc\b \b\b \b\b \bx\r\n', ['x\n']],
    ['kill without ECHOKE', (t) => (t.lflag &= ~T.ECHOKE), 'abc\x15x\r', 'abc^U\r\nx\r\n', ['x\n']],
    ['a literal character', plain, '\x16\x03\r', '^\b^C\r\n', ['\x03\n']],
    ['reprint', plain, 'ab\x12c\r', 'ab^R\r\nabc\r\n', ['abc\n']],
    ['end of file in an empty line', plain, '\x04', '', ['']],
    ['end of file within a line', plain, 'ab\x04', 'ab', ['ab']],
    ['end of file between lines', plain, 'a\r\x04b\r', 'a\r\nb\r\n', ['a\n', '', 'b\n']],
    ['no echo', (t) => (t.lflag &= ~T.ECHO), 'secret\r', '', ['secret\n']],
    ['ECHONL', (t) => (t.lflag = (t.lflag & ~T.ECHO) | T.ECHONL), 'secret\r', '\r\n', ['secret\n']],
    ['control characters shown', plain, '\x01\r', '^A\r\n', ['\x01\n']],
    ['raw input', raw, 'a\rb', '', ['a\nb']],
    ['raw input without ICRNL', (t) => (raw(t), (t.iflag = 0)), 'a\r\x03', '', ['a\r\x03']],
    ['IGNCR', (t) => (t.iflag |= T.IGNCR), 'a\r\n', 'a\r\n', ['a\n']],
    ['ISTRIP', (t) => (t.iflag |= T.ISTRIP), '\xe1\r', 'a\r\n', ['a\n']],
    ['no OPOST', (t) => (t.oflag = 0), 'a\r', 'a\n', ['a\n']],
    ['EOL', (t) => (t.cc[T.CC.eol] = 0x3b), 'a;b\r', 'a;b\r\n', ['a;', 'b\n']],
  ])('takes %s', (_case, change, input, echo, expected) => {
    const line = newLine();
    const termios = T.newTermios();
    change(termios);
    expect(type(line, termios, input).echo).toBe(echo);
    expect(reads(line, termios)).toEqual(expected);
  });

  it.each<[string, string, number, string]>([
    ['^C', '\x03', 2, '^C'],
    ['^\\', '\x1c', 3, '^\\'],
    ['^Z', '\x1a', 20, '^Z'],
  ])('%s sends its signal and throws the line away', (_case, key, signal, echo) => {
    const line = newLine();
    const termios = T.newTermios();
    expect(type(line, termios, `abc${key}`)).toEqual({ echo, signals: [signal] });
    type(line, termios, 'x\r');
    expect(reads(line, termios)).toEqual(['x\n']);
  });

  it('keeps input over a signal under NOFLSH', () => {
    const line = newLine();
    const termios = T.newTermios();
    termios.lflag |= T.NOFLSH;
    expect(type(line, termios, 'abc\x03d\r')).toEqual({ echo: 'abc^Cd\r\n', signals: [2] });
    expect(reads(line, termios)).toEqual(['abcd\n']);
  });

  it('stops and starts output', () => {
    const line = newLine();
    const termios = T.newTermios();
    type(line, termios, '\x13');
    expect(line.stopped).toBe(true);
    type(line, termios, 'a');
    expect(line.stopped).toBe(true);
    type(line, termios, '\x11');
    expect(line.stopped).toBe(false);
  });

  it('gives a line in pieces and takes the end-of-file mark with the last one', () => {
    const line = newLine();
    const termios = T.newTermios();
    type(line, termios, 'abcd\x04');
    expect(reads(line, termios, 2)).toEqual(['ab', 'cd']);
  });

  it('keeps 4095 bytes of an endless line and still takes its end', () => {
    const line = newLine();
    const termios = T.newTermios();
    termios.lflag &= ~T.ECHO;
    type(line, termios, `${'x'.repeat(LINE_BYTES + 50)}\r`);
    const [first = ''] = reads(line, termios, 10_000);
    expect(first.length).toBe(LINE_BYTES - 1);
    expect(first.endsWith('x\n')).toBe(true);
  });

  it('counts what FIONREAD shows and hands an unfinished line over to raw mode', () => {
    const line = newLine();
    const termios = T.newTermios();
    type(line, termios, 'ab\rcd');
    expect(inputLength(line, termios)).toBe(3);
    const rawTermios = T.newTermios();
    raw(rawTermios);
    modeChanged(line, termios, rawTermios);
    expect(inputLength(line, rawTermios)).toBe(5);
    expect(reads(line, rawTermios)).toEqual(['ab\ncd']);
  });
});
