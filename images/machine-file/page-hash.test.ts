import { expect, it } from 'vitest';
import { newPageHasher } from './page-hash.ts';

const seed = new Uint8Array(32).fill(5);

/** The definition, word by word: RFC 4418, 5.2.2, with the key that the module sees. */
function hashesDiffer(change: (page: Uint8Array) => void): boolean {
  const hasher = newPageHasher(seed);
  const page = new Uint8Array(4096).map((_, at) => at * 7);
  const before = hasher.hash(page);
  change(page);
  return hasher.hash(page).join() !== before.join();
}

it('gives each of many pages its own hash, wherever it lies', () => {
  const hasher = newPageHasher(seed);
  const pages = new Uint8Array(600 * 4096);
  for (let page = 0; page < 600; page++) pages[page * 4096 + ((page * 37) % 4096)] = 1 + (page % 255);
  const all = hasher.hash(pages);
  const texts = Array.from({ length: 600 }, (_, page) => all.slice(page * 4, page * 4 + 4).join());
  expect(new Set(texts).size).toBe(600);
  for (const page of [0, 255, 256, 599]) {
    expect(hasher.hash(pages.slice(page * 4096, (page + 1) * 4096)).join()).toBe(texts[page]);
  }
});

it.each<[string, (page: Uint8Array) => void]>([
  ['the first bit', (page) => (page[0] = 1 ^ (page[0] ?? 0))],
  ['the last bit', (page) => (page[4095] = 0x80 ^ (page[4095] ?? 0))],
  ['two words swapped', (page) => page.copyWithin(0, 16, 32)],
  ['a carry from word to word', (page) => page.fill(0xff, 100, 108)],
])('sees a change of %s', (_case, change) => {
  expect(hashesDiffer(change)).toBe(true);
});

it('depends on the key', () => {
  const page = new Uint8Array(4096);
  expect(newPageHasher(seed).hash(page).join()).not.toBe(newPageHasher(new Uint8Array(32)).hash(page).join());
});
