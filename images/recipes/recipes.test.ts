import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { buildImage, createMachineFile, findImage, imageManifest, imagePath } from '../index.ts';
import type { Progress } from '../index.ts';
import { findApt } from './apt.ts';
import { appletPath, appletsOf } from './busybox.ts';
import { base } from './base/recipe.ts';
import { packageRecordOf, paragraphs } from './control.ts';
import { arMembers } from './deb.ts';
import { compareLibraries } from './ld-so-cache.ts';
import { fetchPackages } from './packages.ts';
import { accountsOf } from './users.ts';

describe('parts', () => {
  it('read the paragraphs of a package index', () => {
    const text = `Package: a\nVersion: 1\nDescription: x\n more\nFilename: pool/a.deb\nSize: 5\nSHA256: ${'0'.repeat(64)}\n\nPackage: b\n`;
    const [first, second] = paragraphs(text);
    expect(first && packageRecordOf(first)).toEqual({
      name: 'a',
      version: '1',
      filename: 'pool/a.deb',
      sizeBytes: 5,
      sha256: '0'.repeat(64),
    });
    expect(second && packageRecordOf(second)).toBe(undefined);
  });

  it.each([
    ['no archive', Buffer.from('hello'), /not a Debian package/],
    [
      'a cut-off member',
      Buffer.from(`!<arch>\n${'data.tar.xz'.padEnd(48)}${'999'.padEnd(10)}\`\n`),
      /truncated/,
    ],
  ])('refuse %s', (_case, bytes, message) => {
    expect(() => arMembers(bytes)).toThrow(message);
  });

  it.each([
    ['libc.so.6', 'libc.so.6', 0],
    ['libm.so.10', 'libm.so.9', 1],
    ['libm.so', 'libm.so.6', -1],
    ['liba.so.1', 'libb.so.1', -1],
    ['lib1.so', 'liba.so', 1],
  ])('order %s and %s as ld.so does', (a, b, sign) => {
    expect(Math.sign(compareLibraries(a, b))).toBe(sign);
  });

  it('find the applets of busybox in its bytes', () => {
    const names = Array.from({ length: 60 }, (_, index) => `a${String(index).padStart(2, '0')}`);
    const binary = Buffer.from(
      `\x7fELF....[\0[[\0oops\0.....[\0[[\0${names.join('\0')}\0zz\0Not a name\0`,
      'latin1',
    );
    expect(appletsOf(binary)).toEqual(['[', '[[', ...names, 'zz']);
    expect(() => appletsOf(Buffer.from('nothing'))).toThrow(/applet list/);
    expect([appletPath('init'), appletPath('ls'), appletPath('linuxrc')]).toEqual([
      '/usr/sbin/init',
      '/usr/bin/ls',
      undefined,
    ]);
  });

  it('put users between those of Debian', () => {
    const accounts = accountsOf(
      'root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/:/x\n',
      'root:*:0:\nsudo:*:27:\nstaff:*:50:\nusers:*:100:\n',
      base.users,
    );
    expect(accounts.passwd).toBe(
      'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/x\nstudent:x:1000:1000:Student:/home/student:/bin/sh\n',
    );
    expect(accounts.group).toBe(
      'root:x:0:\nsudo:x:27:student\nstaff:x:50:student\nusers:x:100:student\nstudent:x:1000:\n',
    );
    expect(accounts.shadow.split('\n')[1]).toBe('nobody:*:19700:0:99999:7:::');
  });
});

const apt = await findApt(base.suite);
const hasXz = spawnSync('xz', ['--version']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'ringside-recipes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const hashOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

describe.skipIf(apt === undefined)('the base image', { timeout: 120_000 }, () => {
  const cacheDir = join(folder, 'cache');

  it('is built with progress, found again, and clean for e2fsck', async () => {
    expect(findImage('base', cacheDir)).toBe(undefined);
    expect(() => imagePath('base', cacheDir)).toThrow(/images build base/);
    const steps: Progress[] = [];
    const built = await buildImage('base', { cacheDir, onProgress: (progress) => steps.push(progress) });
    expect(new Set(steps.map(({ step }) => step))).toEqual(
      new Set(['packages', 'unpack', 'assemble', 'disk', 'save']),
    );
    expect(steps.every(({ done, total }) => done <= total)).toBe(true);
    expect(imagePath('base', cacheDir)).toBe(built.path);
    const names = base.packages.map((name) => ({ name }));
    expect(imageManifest(built.path)).toMatchObject({ image: 'base', suite: 'bookworm', packages: names });
    const config = {
      name: 'm',
      cpus: 1,
      memoryBytes: 64 * 1024 ** 2,
      swapBytes: 0,
      seed: 0,
      disk: 'ssd',
      image: 'base',
      imageManifestHash: built.manifestHash,
      createdAt: '',
    } as const;
    const machine = createMachineFile(join(folder, 'm.ringside'), { image: built.path, config });
    const check = machine.checkDisk('vda');
    machine.close();
    if (check !== undefined) expect(check).toMatchObject({ isClean: true });
  });

  it('is the same, bit for bit, when built again', async () => {
    const { path } = await buildImage('base', { cacheDir });
    renameSync(path, join(folder, 'first'));
    const again = await buildImage('base', { cacheDir });
    expect(hashOf(again.path)).toBe(hashOf(join(folder, 'first')));
  });

  it.skipIf(!hasXz)('is the same from a mirror, which is checked', async () => {
    const mirror = join(folder, 'mirror');
    const lists = join(mirror, 'dists/bookworm/main/binary-amd64');
    mkdirSync(lists, { recursive: true });
    mkdirSync(join(mirror, 'pool'));
    const packages = await fetchPackages(base, cacheDir, {});
    const index = packages.map(({ record, archive }) => {
      writeFileSync(join(mirror, 'pool', `${record.name}.deb`), archive);
      const lines = [
        `Package: ${record.name}`,
        `Version: ${record.version}`,
        `Filename: pool/${record.name}.deb`,
      ];
      return [...lines, `Size: ${record.sizeBytes}`, `SHA256: ${record.sha256}`].join('\n');
    });
    writeFileSync(
      join(lists, 'Packages.xz'),
      spawnSync('xz', ['-c'], { input: `${index.join('\n\n')}\n` }).stdout,
    );
    process.env['RINGSIDE_DEBIAN_MIRROR'] = mirror;
    try {
      const built = await buildImage('base', { cacheDir: join(folder, 'cache2') });
      expect(hashOf(built.path)).toBe(hashOf(imagePath('base', cacheDir)));
      copyFileSync(join(mirror, 'pool/tcc.deb'), join(mirror, 'pool/busybox-static.deb'));
      await expect(buildImage('base', { cacheDir: join(folder, 'cache3') })).rejects.toThrow(
        /busybox-static .* hash/,
      );
      rmSync(lists, { recursive: true });
      await expect(buildImage('base', { cacheDir: join(folder, 'cache3') })).rejects.toThrow(
        /Cannot reach .*RINGSIDE_DEBIAN_MIRROR/,
      );
    } finally {
      delete process.env['RINGSIDE_DEBIAN_MIRROR'];
    }
  });

  it('can be given up, and leaves nothing half done', async () => {
    const given = join(folder, 'cache4');
    const controller = new AbortController();
    const onProgress = ({ step }: Progress) => {
      if (step === 'save') controller.abort();
    };
    await expect(
      buildImage('base', { cacheDir: given, signal: controller.signal, onProgress }),
    ).rejects.toThrow(/abort/i);
    expect(readdirSync(given).filter((name) => name !== 'packages')).toEqual([]);
  });
});
