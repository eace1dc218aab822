import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { makeExt4 } from './ext4.ts';
import type { Ext4Options } from './ext4.ts';
import type { Entry } from './entries.ts';
import { swapHeader } from './mkswap.ts';

const MIB = 1024 * 1024;
const attributes = { mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 1_700_000_000 };
const options = (sizeMib: number): Ext4Options => ({
  sizeBytes: sizeMib * MIB,
  label: 'test',
  uuid: new Uint8Array(16).fill(7),
  hashSeed: new Uint8Array(16).fill(9),
  timeSeconds: 1_700_000_000,
});
const file = (path: string, size: number): Entry => ({
  type: 'file',
  path,
  ...attributes,
  content: new Uint8Array(size).map((_, at) => (at * 31 + (at >> 8)) & 255),
});
const hasE2fsck = spawnSync('e2fsck', ['-V']).status === 0;

const everything: Entry[] = [
  file('/hello.txt', 13),
  file('/empty', 0),
  file('/a/b/c/deep.bin', 3 * MIB + 17),
  { type: 'hardlink', path: '/a/second-name', target: '/hello.txt' },
  { type: 'symlink', path: '/short', target: 'a/b', ...attributes },
  { type: 'symlink', path: '/long', target: 'x'.repeat(200), ...attributes },
  { type: 'symlink', path: '/edge', target: 'y'.repeat(59), ...attributes },
  { type: 'symlink', path: '/edge60', target: 'y'.repeat(60), ...attributes },
  { type: 'character', path: '/dev/console', major: 5, minor: 1, ...attributes, mode: 0o600 },
  { type: 'block', path: '/dev/large', major: 259, minor: 300, ...attributes },
  { type: 'fifo', path: '/pipe', ...attributes },
  { type: 'directory', path: '/tmp', ...attributes, mode: 0o1777 },
  { type: 'file', path: '/home/owner', ...attributes, uid: 70000, gid: 70001, content: new Uint8Array(5) },
  ...Array.from({ length: 900 }, (_, index) => file(`/many/a-name-of-some-length-${index}`, index % 7)),
];

function inImage<T>(entries: readonly Entry[], sizeMib: number, use: (path: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'mkfs-'));
  try {
    const path = join(directory, 'disk.img');
    const fd = openSync(path, 'w');
    ftruncateSync(fd, sizeMib * MIB);
    makeExt4(entries, options(sizeMib), (first, bytes) => {
      expect(bytes.length % 4096).toBe(0);
      writeSync(fd, bytes, 0, bytes.length, first * 4096);
    });
    closeSync(fd);
    return use(path);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe.skipIf(!hasE2fsck)('e2fsck finds nothing to repair', () => {
  it.each<[string, Entry[], number]>([
    ['an empty disk', [], 16],
    ['every type of entry', everything, 64],
    ['every type of entry on 1 GiB', everything, 1024],
    ['a tail too small for a group', everything, 129],
    ['files over several groups', Array.from({ length: 6 }, (_, i) => file(`/f${i}`, 50 * MIB)), 400],
    ['a file in more than four pieces', [file('/big', 800 * MIB)], 1024],
  ])('%s', (_case, entries, sizeMib) => {
    inImage(entries, sizeMib, (path) => {
      const check = spawnSync('e2fsck', ['-fn', path], { encoding: 'utf8' });
      expect(check.stdout + check.stderr).not.toMatch(/fix\?|error|invalid/i);
      expect(check.status).toBe(0);
    });
  });

  it('debugfs reads back what went in', () => {
    inImage(everything, 64, (path) => {
      const ask = (request: string) =>
        spawnSync('debugfs', ['-R', request, path], { maxBuffer: 16 * MIB }).stdout;
      const deep = everything.find((entry) => entry.path === '/a/b/c/deep.bin');
      expect(deep?.type === 'file' && Buffer.compare(ask('cat /a/b/c/deep.bin'), deep.content)).toBe(0);
      expect(ask('stat /long').toString()).toContain('Size: 200');
      expect(ask('stat /edge').toString()).toContain(`Fast link dest: "${'y'.repeat(59)}"`);
      expect(ask('stat /dev/large').toString()).toContain('259:300');
      expect(ask('stat /hello.txt').toString()).toContain('Links: 2');
      expect(ask('stat /home/owner').toString()).toMatch(/User: 70000\s+Group: 70001/);
      expect(
        ask('ls -p /many')
          .toString()
          .split('\n')
          .filter((line) => line.includes('a-name')).length,
      ).toBe(900);
    });
  });
});

it('the same entries in another order give the same disk', () => {
  const hashOf = (entries: readonly Entry[]) => {
    const blocks = new Map<number, Uint8Array>();
    makeExt4(entries, options(64), (first, bytes) => {
      for (let at = 0; at < bytes.length; at += 4096)
        blocks.set(first + at / 4096, bytes.slice(at, at + 4096));
    });
    const hash = createHash('sha256');
    for (const [block, bytes] of [...blocks].sort(([a], [b]) => a - b))
      hash.update(String(block)).update(bytes);
    return hash.digest('hex');
  };
  expect(hashOf(everything.toReversed())).toBe(hashOf(everything));
});

it.each<[string, Entry[], RegExp]>([
  ['a path twice', [file('/a', 1), file('/a', 2)], /twice/],
  ['a file as a directory', [file('/a', 1), file('/a/b', 1)], /not a directory/],
  ['a link to nothing', [{ type: 'hardlink', path: '/a', target: '/none' }], /not a file/],
  ['a relative path', [file('a', 1)], /absolute/],
  ['dots', [file('/a/../b', 1)], /\.\./],
  ['too much', [file('/a', 20 * MIB)], /fit/],
])('refuses %s', (_case, entries, message) => {
  expect(() => makeExt4(entries, options(16), () => undefined)).toThrow(message);
});

it('writes the header that swapon looks for', () => {
  const page = swapHeader(16 * MIB, new Uint8Array(16).fill(1), 'swap');
  expect(new TextDecoder().decode(page.subarray(4086))).toBe('SWAPSPACE2');
  expect(new DataView(page.buffer).getUint32(1028, true)).toBe(4095);
});
