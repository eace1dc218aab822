import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeExt4 } from '../../../images/mkfs/ext4.ts';
import { failed, type Failure } from '../../abi/errno.ts';
import { O } from '../../abi/open-flags.ts';
import { writeBackSpace } from '../../mm/write-back.ts';
import { newRandom, randomBelow } from '../../lib/random.ts';
import { fsTest, testDisk, type FsTest, type TestDisk } from '../fs.test-kernel.ts';
import { truncateFile } from '../vfs/attributes.ts';
import { readFile, syncFile, writeFile } from '../vfs/file-io.ts';
import { inodeOperations } from '../vfs/inode.ts';
import {
  makeDirectory,
  makeLink,
  makeSymlink,
  removeDirectory,
  removeFile,
  renamePath,
} from '../vfs/namespace.ts';
import { openPath } from '../vfs/open.ts';
import { putFile, type OpenFile } from '../vfs/open-file.ts';
import { superBlockOf } from '../vfs/inode-cache.ts';
import { walkPath } from '../vfs/walk.ts';
import { findJournal, requestCommit } from './journal.ts';
import { stopWriting, syncExt4 } from './unmount.ts';

const MIB = 1024 * 1024;
const attributes = { mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 1_700_000_000 };
const filled = (length: number, seed: number): Uint8Array =>
  new Uint8Array(length).map((_, at) => (at * 31 + seed * 7 + (at >> 8)) & 255);

function ownImage(sizeMib = 32): Uint8Array {
  const bytes = new Uint8Array(sizeMib * MIB);
  makeExt4(
    [
      { type: 'file', path: '/bin/busybox', ...attributes, mode: 0o755, content: filled(300_000, 1) },
      { type: 'symlink', path: '/bin/sh', target: 'busybox', ...attributes },
      { type: 'symlink', path: '/long', target: `/bin/${'./'.repeat(60)}busybox`, ...attributes },
      { type: 'directory', path: '/dev', ...attributes, mode: 0o755 },
    ],
    {
      sizeBytes: sizeMib * MIB,
      label: 'test',
      uuid: new Uint8Array(16).fill(7),
      hashSeed: new Uint8Array(16).fill(9),
      timeSeconds: 1_700_000_000,
    },
    (first, content) => bytes.set(content, first * 4096),
  );
  return bytes;
}

function withFile<T>(bytes: Uint8Array | null, use: (path: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'ext4-'));
  try {
    const path = join(directory, 'disk.img');
    if (bytes !== null) writeFileSync(path, bytes);
    return use(path);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function stockImage(options: readonly string[] = [], sizeMib = 64): Uint8Array {
  return withFile(null, (path) => {
    const made = spawnSync('mke2fs', ['-q', '-t', 'ext4', '-b', '4096', ...options, path, `${sizeMib}M`]);
    if (made.status !== 0) throw new Error(made.stderr.toString());
    return new Uint8Array(readFileSync(path));
  });
}

/** What e2fsck finds; '' when nothing. */
function fsck(bytes: Uint8Array): string {
  return withFile(bytes, (path) => {
    const done = spawnSync('e2fsck', ['-fn', path]);
    return done.status === 0 ? '' : `${done.status}: ${done.stdout.toString()}${done.stderr.toString()}`;
  });
}

const openFile = (test: FsTest, path: string, flags: number, mode = 0o644): OpenFile =>
  test.must(() => openPath(test.kernel, test.task, null, path, flags, mode));

function put(
  test: FsTest,
  path: string,
  content: Uint8Array,
  flags: number = O.CREAT | O.TRUNC | O.WRONLY,
): void {
  const file = openFile(test, path, flags);
  writeAll(test, file, content, 0);
  putFile(test.kernel, file);
}

function writeAll(test: FsTest, file: OpenFile, content: Uint8Array, position: number): void {
  for (let at = 0; at < content.length;) {
    at += test.must(() =>
      writeFile(test.kernel, test.task, file, { kind: 'kernel', bytes: content.subarray(at) }, position + at),
    );
  }
}

function get(test: FsTest, path: string): Uint8Array {
  const file = openFile(test, path, O.RDONLY);
  const bytes = new Uint8Array(file.inode.size);
  const count = test.must(() => readFile(test.kernel, test.task, file, { kind: 'kernel', bytes }, 0));
  putFile(test.kernel, file);
  return bytes.subarray(0, count);
}

const sync = (test: FsTest): void => {
  const superBlock = [...test.kernel.vfs.superBlocks.values()].find((one) => one.fs === 'ext4');
  if (superBlock) test.must(() => syncExt4(test.kernel, superBlock));
};

function unmount(test: FsTest): void {
  const superBlock = [...test.kernel.vfs.superBlocks.values()].find((one) => one.fs === 'ext4');
  if (superBlock) test.must(() => stopWriting(test.kernel, superBlock));
}

function list(test: FsTest, path: string): string[] {
  const place = test.must(() => walkPath(test.kernel, test.task, null, path, { follow: true }));
  const { inode } = place.dentry;
  const names: string[] = [];
  for (let position = 0; inode !== null;) {
    const entries = test.must(
      () => inodeOperations['ext4']?.readDirectory?.(test.kernel, inode, position, 100) ?? [],
    );
    if (entries.length === 0) break;
    for (const entry of entries) names.push(entry.name);
    position = entries.at(-1)?.next ?? 0;
  }
  return names.filter((name) => name !== '.' && name !== '..').sort();
}

const images: readonly (readonly [string, () => Uint8Array])[] = [
  ['our own mkfs', () => ownImage()],
  ['stock mke2fs', () => stockImage()],
  ['mke2fs without checksums', () => stockImage(['-O', '^metadata_csum,^64bit,uninit_bg'])],
];

describe('reading', () => {
  it('finds files, links and directories of our own image', () => {
    const test = fsTest({ vda: testDisk(ownImage()) }, 'ext4');
    expect(get(test, '/bin/sh')).toEqual(filled(300_000, 1));
    expect(get(test, '/long').length).toBe(300_000);
    expect(list(test, '/')).toEqual(['bin', 'dev', 'long', 'lost+found']);
  });

  it('reads a tree that mke2fs filled, htree directories too', () => {
    const bytes = withFile(null, (path) => {
      const source = mkdtempSync(join(tmpdir(), 'tree-'));
      for (let i = 0; i < 700; i++) writeFileSync(join(source, `a-name-of-some-length-${i}`), `content ${i}`);
      spawnSync('mke2fs', ['-q', '-t', 'ext4', '-b', '4096', '-d', source, path, '64M']);
      spawnSync('e2fsck', ['-fyD', path]);
      rmSync(source, { recursive: true });
      return new Uint8Array(readFileSync(path));
    });
    const disk = testDisk(bytes);
    const test = fsTest({ vda: disk }, 'ext4');
    expect(list(test, '/').length).toBe(701);
    expect(new TextDecoder().decode(get(test, '/a-name-of-some-length-345'))).toBe('content 345');
    test.must(() => removeFile(test.kernel, test.task, null, '/a-name-of-some-length-345'));
    put(test, '/one more', filled(10, 1));
    unmount(test);
    expect(fsck(disk.bytes)).toBe('');
  });
});

describe.each(images)('writing on %s', (_name, make) => {
  it('is clean after unmounting, and everything is there again', () => {
    const disk = testDisk(make());
    const test = fsTest({ vda: disk }, 'ext4');
    put(test, '/small', filled(100, 1));
    put(test, '/large', filled(3 * MIB + 17, 2));
    test.must(() => makeDirectory(test.kernel, test.task, null, '/d', 0o755));
    for (let i = 0; i < 300; i++) put(test, `/d/file-${i}`, filled(i * 20, i));
    for (let i = 0; i < 300; i += 3)
      test.must(() => removeFile(test.kernel, test.task, null, `/d/file-${i}`));
    test.must(() => makeSymlink(test.kernel, test.task, 'x'.repeat(200), null, '/slow'));
    test.must(() => makeSymlink(test.kernel, test.task, 'large', null, '/fast'));
    test.must(() => renamePath(test.kernel, test.task, null, '/d', null, '/e', 0));
    unmount(test);
    expect(fsck(disk.bytes)).toBe('');
    const again = fsTest({ vda: testDisk(disk.bytes) }, 'ext4');
    expect(get(again, '/fast')).toEqual(filled(3 * MIB + 17, 2));
    expect(get(again, '/e/file-100')).toEqual(filled(2000, 100));
    expect(list(again, '/e').length).toBe(200);
  });

  it('is clean after sync while still mounted', () => {
    const disk = testDisk(make());
    const test = fsTest({ vda: disk }, 'ext4');
    put(test, '/a', filled(50_000, 1));
    sync(test);
    expect(fsck(disk.bytes)).toBe('');
  });
});

/** What a file system should hold: path → content, or null for a directory. */
type Model = Map<string, Uint8Array | null>;

/** Lets the running transaction commit. */
function commit(test: FsTest): void {
  startCommit(test);
  test.pass(2e9);
}

/** Asks for a commit without waiting for it, so that the next operations meet it half-way. */
function startCommit(test: FsTest): void {
  const journal = findJournal(test.kernel, 'vda');
  if (journal !== null) requestCommit(test.kernel, journal, journal.running.sequence);
}

function fuzz(test: FsTest, model: Model, random: Uint32Array, steps: number): void {
  const { kernel, task } = test;
  const pick = (n: number): number => randomBelow(random, n);
  const files = (): string[] => [...model].filter(([, content]) => content !== null).map(([path]) => path);
  const directories = (): string[] => [
    '',
    ...[...model].filter(([, content]) => content === null).map(([path]) => path),
  ];
  const choose = (from: string[]): string => from[pick(from.length)] ?? '';
  const free = (): string => `${choose(directories())}/n${pick(1_000_000)}${'x'.repeat(pick(60))}`;
  const ok = (result: unknown): boolean => !failed(result);
  for (let step = 0; step < steps; step++) {
    const existing = choose(files());
    if (pick(3) === 0) startCommit(test);
    if (pick(2) === 0) test.pass(pick(200_000));
    // As when memory is short: whatever may go to its place goes now.
    const device = kernel.block.devices.get('vda');
    if (device !== undefined && pick(12) === 0)
      test.run(() => writeBackSpace(kernel, device.space, { wait: false }));
    switch (pick(10)) {
      case 0: {
        const path = free();
        if (ok(test.run(() => makeDirectory(kernel, task, null, path, 0o755)))) model.set(path, null);
        break;
      }
      case 1:
      case 2: {
        const path = free();
        const content = filled(pick(pick(4) === 0 ? 200_000 : 9000), step);
        put(test, path, content);
        model.set(path, content);
        break;
      }
      case 3:
      case 4: {
        if (existing === '') break;
        const old = model.get(existing) ?? new Uint8Array(0);
        const position = pick(old.length + 20_000);
        const piece = filled(pick(20_000) + 1, step);
        const file = openFile(test, existing, O.WRONLY);
        writeAll(test, file, piece, position);
        putFile(kernel, file);
        const next = new Uint8Array(Math.max(old.length, position + piece.length));
        next.set(old);
        next.set(piece, position);
        model.set(existing, next);
        break;
      }
      case 5: {
        if (existing === '') break;
        const old = model.get(existing) ?? new Uint8Array(0);
        const size = pick(old.length + 10_000);
        const file = openFile(test, existing, O.WRONLY);
        test.must(() => truncateFile(kernel, task, file.inode, size));
        putFile(kernel, file);
        const next = new Uint8Array(size);
        next.set(old.subarray(0, size));
        model.set(existing, next);
        break;
      }
      case 6:
        if (existing === '') break;
        test.must(() => removeFile(kernel, task, null, existing));
        model.delete(existing);
        break;
      case 7: {
        if (existing === '') break;
        const target = pick(2) === 0 ? free() : choose(files());
        if (target === existing) break;
        test.must(() => renamePath(kernel, task, null, existing, null, target, 0));
        model.set(target, model.get(existing) ?? null);
        model.delete(existing);
        break;
      }
      case 8: {
        const path = choose(directories());
        if (path === '') break;
        const empty = ![...model.keys()].some((other) => other.startsWith(`${path}/`));
        expect(ok(test.run(() => removeDirectory(kernel, task, null, path)))).toBe(empty);
        if (empty) model.delete(path);
        break;
      }
      default: {
        if (existing === '') break;
        const file = openFile(test, existing, O.RDWR);
        const size = file.inode.size;
        const offset = pick(size + 1);
        const length = pick(30_000) + 1;
        const punched = test.run(
          (): number | Failure =>
            inodeOperations['ext4']?.fallocate?.(kernel, file.inode, 3, offset, length) ?? 0,
        );
        putFile(kernel, file);
        if (!ok(punched)) throw new Error(`punching failed: ${String(punched)}`);
        const next = (model.get(existing) ?? new Uint8Array(0)).slice();
        next.fill(0, offset, Math.min(size, offset + length));
        model.set(existing, next);
      }
    }
  }
}

function compare(test: FsTest, model: Model): void {
  for (const [path, content] of model) {
    if (content === null) list(test, path);
    else {
      const found = get(test, path);
      if (Buffer.compare(found, content) !== 0) {
        const at = found.findIndex((byte, index) => byte !== content[index]);
        throw new Error(`${path}: ${found.length} bytes for ${content.length}, first difference at ${at}`);
      }
    }
  }
}

describe('random operations', () => {
  it.each([
    [1, 'our own mkfs', () => ownImage(64)],
    [2, 'stock mke2fs', () => stockImage()],
    [3, 'no checksums', () => stockImage(['-O', '^metadata_csum,^64bit,uninit_bg'])],
    [4, 'our own mkfs', () => ownImage(64)],
  ] as const)('seed %i on %s', (seed, _name, make) => {
    const disk = testDisk(make());
    const test = fsTest({ vda: disk }, 'ext4', { profile: 'nvme' });
    const model: Model = new Map();
    const random = newRandom(seed);
    for (let round = 0; round < 4; round++) {
      fuzz(test, model, random, 150);
      compare(test, model);
      test.pass(randomBelow(random, 2) * 6e9);
    }
    unmount(test);
    expect(fsck(disk.bytes)).toBe('');
    compare(fsTest({ vda: testDisk(disk.bytes) }, 'ext4'), model);
  });
});

/** The disk as a crash leaves it: everything up to flush-safe point `cut`, and of what came after a random part. */
function crashed(start: Uint8Array, log: TestDisk['log'], cut: number, random: Uint32Array): Uint8Array {
  const bytes = start.slice();
  const head = log.slice(0, cut);
  const lastFlush = head.lastIndexOf(null);
  head.forEach((entry, index) => {
    if (entry === null) return;
    for (let at = 0; at < entry.bytes.length; at += 4096) {
      if (index < lastFlush || randomBelow(random, 2) === 0)
        bytes.set(entry.bytes.subarray(at, at + 4096), entry.first * 4096 + at);
    }
  });
  return bytes;
}

/** Cuts tried per seed; each takes a quarter of a second. */
const TRIALS = 12;

describe('crashes', () => {
  it.each([
    [11, 'own'],
    [12, 'stock'],
    [13, 'own'],
  ] as const)('recovers from a cut anywhere, seed %i on %s', (seed, kind) => {
    const start = kind === 'own' ? ownImage() : stockImage([], 32);
    const disk = testDisk(start.slice());
    disk.recording = true;
    const test = fsTest({ vda: disk }, 'ext4', { profile: 'nvme' });
    const random = newRandom(seed);
    const model: Model = new Map();
    const durable: { at: number; path: string; content: Uint8Array }[] = [];
    /** Written once in one go and perhaps removed: whatever of them is there after a crash is a part of what was written. */
    const once = new Map<string, Uint8Array>();
    for (let round = 0; round < 12; round++) {
      for (let part = 0; part < 12; part++) {
        fuzz(test, model, random, 5);
        const path = `/once-${round}-${part}`;
        const content = filled(randomBelow(random, 40_000), 100 + part);
        put(test, path, content);
        once.set(path, content);
        const victim = [...once.keys()][randomBelow(random, once.size)] ?? '';
        if (part % 2 === 0) test.run(() => removeFile(test.kernel, test.task, null, victim));
      }
      const path = `/durable-${round}`;
      const content = filled(randomBelow(random, 30_000), round);
      put(test, path, content);
      const file = openFile(test, path, O.WRONLY);
      test.must(() => syncFile(test.kernel, file, false));
      putFile(test.kernel, file);
      durable.push({ at: disk.log.length, path, content });
      if (round % 4 === 3) test.pass(6e9);
      if (round % 5 === 4) sync(test);
    }
    for (let trial = 0; trial < TRIALS; trial++) {
      const cut = randomBelow(random, disk.log.length + 1);
      const after = testDisk(crashed(start, disk.log, cut, random));
      const recovered = fsTest({ vda: after }, 'ext4', { profile: 'nvme' });
      for (const { at, path, content } of durable)
        if (at <= cut) expect(Buffer.compare(get(recovered, path), content)).toBe(0);
      for (const path of list(recovered, '/')) {
        const whole = once.get(`/${path}`);
        if (whole === undefined) continue;
        const found = get(recovered, `/${path}`);
        expect(`${path} ${Buffer.compare(found, whole.subarray(0, found.length))}`).toBe(`${path} 0`);
      }
      unmount(recovered);
      expect(fsck(after.bytes)).toBe('');
    }
  });

  it('does not replay a freed directory block over the data that took its place', () => {
    const disk = testDisk(ownImage());
    const test = fsTest({ vda: disk }, 'ext4', { profile: 'nvme' });
    const names = Array.from({ length: 40 }, (_, index) => `/directory-${index}`);
    for (const name of names) test.must(() => makeDirectory(test.kernel, test.task, null, name, 0o755));
    commit(test);
    for (const name of names) test.must(() => removeDirectory(test.kernel, test.task, null, name));
    commit(test);
    commit(test);
    const file = openFile(test, '/everything', O.CREAT | O.RDWR);
    const piece = filled(MIB, 5);
    let size = 0;
    for (;;) {
      const count = test.run(() =>
        writeFile(test.kernel, test.task, file, { kind: 'kernel', bytes: piece }, size),
      );
      if (failed(count)) break;
      size += count;
    }
    test.must(() => syncFile(test.kernel, file, false));
    const after = testDisk(disk.bytes.slice());
    const recovered = fsTest({ vda: after }, 'ext4', { profile: 'nvme' });
    const found = get(recovered, '/everything');
    expect(found.length).toBe(size);
    for (let at = 0; at < size; at += MIB)
      expect(Buffer.compare(found.subarray(at, at + MIB), piece.subarray(0, Math.min(MIB, size - at)))).toBe(
        0,
      );
    unmount(recovered);
    expect(fsck(after.bytes)).toBe('');
  });

  it('frees files that were open without a name', () => {
    const disk = testDisk(ownImage());
    const test = fsTest({ vda: disk }, 'ext4');
    const file = openFile(test, '/gone', O.CREAT | O.RDWR);
    writeAll(test, file, filled(100_000, 1), 0);
    test.must(() => removeFile(test.kernel, test.task, null, '/gone'));
    sync2(test);
    const after = testDisk(disk.bytes.slice());
    const recovered = fsTest({ vda: after }, 'ext4');
    unmount(recovered);
    expect(fsck(after.bytes)).toBe('');
    expect(superBlockOf(test.kernel, file.inode).readOnly).toBe(false);
  });
});

/** A commit without waiting for evictions of open files. */
function sync2(test: FsTest): void {
  test.pass(12e9);
}

it('turns read-only when the host cannot write, and does not throw', () => {
  const disk = testDisk(ownImage());
  const test = fsTest({ vda: disk }, 'ext4');
  put(test, '/a', filled(10_000, 1));
  disk.failWrites = true;
  const file = openFile(test, '/a', O.WRONLY);
  expect(failed(test.run(() => syncFile(test.kernel, file, false)))).toBe(true);
  expect(test.kernel.log.lines.some((line) => line.text.includes('I/O error, dev vda'))).toBe(true);
  test.pass(10e9);
  expect(
    failed(
      test.run(() =>
        makeLink(
          test.kernel,
          test.task,
          { mount: file.mount, dentry: file.dentry ?? (null as never) },
          null,
          '/b',
        ),
      ),
    ),
  ).toBe(true);
});
