/** The terminal's sixteen colours in both themes, on the lab's ground. */
import type { ITheme } from '@xterm/xterm';
import type { Palette } from './palette.ts';

const DARK: ITheme = {
  black: '#2d333a',
  red: '#ff8a7d',
  green: '#5fc97f',
  yellow: '#e5b24a',
  blue: '#6cb0ff',
  magenta: '#c391ee',
  cyan: '#46c7b2',
  white: '#cfd5db',
  brightBlack: '#8b96a1',
  brightRed: '#ffaea5',
  brightGreen: '#8fe0a6',
  brightYellow: '#f3cf86',
  brightBlue: '#a3cdff',
  brightMagenta: '#dcbcf7',
  brightCyan: '#85dfd0',
  brightWhite: '#ffffff',
};
const LIGHT: ITheme = {
  black: '#1d2329',
  red: '#b3261e',
  green: '#1a7537',
  yellow: '#8a5a00',
  blue: '#1763c6',
  magenta: '#8a46b8',
  cyan: '#0f6f63',
  white: '#6b7580',
  brightBlack: '#545e68',
  brightRed: '#c8372d',
  brightGreen: '#1f8a3f',
  brightYellow: '#9d6800',
  brightBlue: '#2f7bdb',
  brightMagenta: '#a15bd0',
  brightCyan: '#13806f',
  brightWhite: '#3a434c',
};

export function terminalTheme(palette: Palette): ITheme {
  const { colour, dark } = palette;
  return {
    ...(dark ? DARK : LIGHT),
    background: colour.ground,
    foreground: colour.text,
    cursor: colour.accent,
    cursorAccent: colour.ground,
    selectionBackground: colour['ground-selected'],
  };
}
