/**
 * The theme's colours for canvas pictures, read from tokens.css once per theme change, and the hue that a
 * process keeps in every panel.
 */
import { shallowRef } from 'vue';

const NAMES = [
  'ground',
  'ground-low',
  'ground-lower',
  'ground-selected',
  'line',
  'line-strong',
  'text',
  'text-soft',
  'accent',
  'accent-soft',
  'good',
  'warn',
  'bad',
  'state-running',
  'state-runnable',
  'state-sleeping',
  'state-disk',
  'state-stopped',
  'state-zombie',
  'cpu-user',
  'cpu-system',
  'cpu-irq',
  'cpu-softirq',
  'cpu-iowait',
  'cpu-idle',
  'memory-anonymous',
  'memory-cache',
  'memory-slab',
  'memory-tables',
  'memory-kernel',
  'memory-free',
  'series-1',
  'series-2',
  'series-3',
  'series-4',
  'heat-low',
  'heat-high',
] as const;
export type ColourName = (typeof NAMES)[number];
export interface Palette {
  readonly dark: boolean;
  readonly colour: Readonly<Record<ColourName, string>>;
}

const unset = Object.fromEntries(NAMES.map((name) => [name, '#888888'])) as Record<ColourName, string>; // every name

/** Changes when the theme does; pictures redraw by watching it. */
export const palette = shallowRef<Palette>({ dark: false, colour: unset });

export function applyTheme(theme: 'light' | 'dark'): void {
  document.documentElement.dataset['theme'] = theme;
  const style = getComputedStyle(document.documentElement);
  const colour = { ...unset };
  for (const name of NAMES) colour[name] = sixDigits(style.getPropertyValue(`--${name}`).trim());
  palette.value = { dark: theme === 'dark', colour };
}

/** The bundler shortens #ffffff to #fff, which Monaco does not take. */
function sixDigits(colour: string): string {
  return /^#[\da-f]{3}$/i.test(colour) ? colour.replace(/[\da-f]/gi, '$&$&') : colour;
}

/** Neighbouring ids get hues far apart (golden angle), the same in every panel. */
export function taskColour(tid: number, dark: boolean): string {
  if (tid <= 0) return dark ? '#2d333a' : '#dfe4e9';
  const hue = Math.round((tid * 137.508) % 360);
  const saturation = 45 + ((tid * 7) % 3) * 8;
  return `hsl(${hue} ${saturation}% ${dark ? 62 : 44}%)`;
}

const STATE_COLOURS: Readonly<Record<string, ColourName>> = {
  R: 'state-running',
  Q: 'state-runnable',
  S: 'state-sleeping',
  I: 'state-sleeping',
  D: 'state-disk',
  T: 'state-stopped',
  t: 'state-stopped',
  Z: 'state-zombie',
  X: 'state-zombie',
};
export function stateColourName(state: string): ColourName {
  return STATE_COLOURS[state] ?? 'state-sleeping';
}
const STATE_WORDS: Readonly<Record<string, string>> = {
  R: 'running or runnable',
  S: 'sleeping',
  D: 'waiting for the disk',
  T: 'stopped',
  t: 'traced',
  Z: 'zombie',
  X: 'dead',
  I: 'idle kernel thread',
};
export function stateWords(state: string): string {
  return STATE_WORDS[state] ?? state;
}
