import { describe, expect, it } from 'vitest';
import { errnoNames, failed } from '../../abi/errno.ts';
import { makeDevice } from '../../abi/device.ts';
import { AT_FDCWD, LOCK, MS, O, RENAME } from '../../abi/open-flags.ts';
import { get32, latin1 } from '../../lib/bytes.ts';
import { fsTest, testDisk, type FsTest } from '../fs.test-kernel.ts';
import { changeMode, changeOwner, statOf, truncatePath } from './attributes.ts';
import {
  closeDescriptor,
  copyFileTable,
  fileOf,
  freeDescriptor,
  installFile,
  putFileTable,
} from './file-table.ts';
import { readFile, writeFile } from './file-io.ts';
import { addWatch, IN, newInotify, type Inotify } from './inotify.ts';
import { inodeOperations } from './inode.ts';
import { flockFile, setRecordLock } from './locks.ts';
import { mountAt, mountCall, unmountCall } from './mounts.ts';
import {
  makeDirectory,
  makeLink,
  makeNode,
  makeSymlink,
  removeDirectory,
  removeFile,
  renamePath,
} from './namespace.ts';
import { openPath } from './open.ts';
import { newAnonymousFile, putFile, type OpenFile } from './open-file.ts';
import { pathText } from './path.ts';
import { walkPath } from './walk.ts';

const newTest = (): FsTest => fsTest({ vda: testDisk(new Uint8Array(1 << 20)) }, 'ramfs');
const nameOf = (result: unknown): string =>
  failed(result) ? (errnoNames.get(-result) ?? String(result)) : 'ok';
const asUser = (test: FsTest, uid: number, groups: number[] = []): void => {
  const ids = { uid, euid: uid, suid: uid, fsuid: uid, gid: uid, egid: uid, sgid: uid, fsgid: uid, groups };
  test.task.credentials = { ...test.task.credentials, ...ids, permitted: 0n, effective: 0n };
};
const open = (test: FsTest, path: string, flags: number, mode = 0o644) =>
  test.run(() => openPath(test.kernel, test.task, null, path, flags, mode));
function mustOpen(test: FsTest, path: string, flags: number, mode = 0o644): OpenFile {
  return test.must(() => openPath(test.kernel, test.task, null, path, flags, mode));
}
function put(test: FsTest, path: string, text: string, mode = 0o644): void {
  const file = mustOpen(test, path, O.CREAT | O.WRONLY | O.TRUNC, mode);
  test.must(() =>
    writeFile(test.kernel, test.task, file, { kind: 'kernel', bytes: new TextEncoder().encode(text) }, 0),
  );
  putFile(test.kernel, file);
}
function get(test: FsTest, path: string): string {
  const file = mustOpen(test, path, O.RDONLY);
  const bytes = new Uint8Array(file.inode.size);
  test.must(() => readFile(test.kernel, test.task, file, { kind: 'kernel', bytes }, 0));
  putFile(test.kernel, file);
  return latin1(bytes);
}
const walk = (test: FsTest, path: string, follow = true) =>
  test.run(() => walkPath(test.kernel, test.task, null, path, { follow }));

function tree(): FsTest {
  const test = newTest();
  const { kernel, task } = test;
  test.must(() => makeDirectory(kernel, task, null, '/d', 0o755));
  test.must(() => makeDirectory(kernel, task, null, '/d/e', 0o755));
  put(test, '/d/file', 'text');
  test.must(() => makeSymlink(kernel, task, 'file', null, '/d/link'));
  test.must(() => makeSymlink(kernel, task, '/d', null, '/dlink'));
  test.must(() => makeSymlink(kernel, task, 'loop', null, '/loop'));
  test.must(() => makeSymlink(kernel, task, 'nowhere', null, '/dangling'));
  return test;
}

describe('open', () => {
  it.each([
    ['a missing file', '/none', O.RDONLY, 'ENOENT'],
    ['an empty path', '', O.RDONLY, 'ENOENT'],
    ['a file used as a directory', '/d/file/x', O.RDONLY, 'ENOTDIR'],
    ['a file with a slash behind', '/d/file/', O.RDONLY, 'ENOTDIR'],
    ['an exclusive create', '/d/file', O.CREAT | O.EXCL, 'EEXIST'],
    ['an exclusive create over a dangling link', '/dangling', O.CREAT | O.EXCL, 'EEXIST'],
    ['a create with a slash', '/new/', O.CREAT, 'EISDIR'],
    ['a directory for writing', '/d', O.WRONLY, 'EISDIR'],
    ['a directory with O_CREAT', '/d', O.CREAT, 'EISDIR'],
    ['a file with O_DIRECTORY', '/d/file', O.DIRECTORY, 'ENOTDIR'],
    ['a link with O_NOFOLLOW', '/d/link', O.NOFOLLOW, 'ELOOP'],
    ['a circle of links', '/loop', O.RDONLY, 'ELOOP'],
    ['a long name', `/${'x'.repeat(256)}`, O.RDONLY, 'ENAMETOOLONG'],
    ['a link', '/d/link', O.RDONLY, 'ok'],
    ['a create through a dangling link', '/dangling', O.CREAT | O.WRONLY, 'ok'],
    ['a path over links and dots', '/dlink/../d/./e/..//link', O.RDONLY, 'ok'],
    ['a temporary file', '/d', O.TMPFILE | O.RDWR, 'ok'],
  ])('%s', (_case, path, flags, expected) => {
    expect(nameOf(open(tree(), path, flags))).toBe(expected);
  });

  it.each([
    ['another user reads', 1000, [], 0o644, O.RDONLY, 'ok'],
    ['another user writes', 1000, [], 0o644, O.WRONLY, 'EACCES'],
    ['the owner is refused though others may', 500, [], 0o066, O.RDONLY, 'EACCES'],
    ['a group member writes', 1000, [600], 0o660, O.RDWR, 'ok'],
    ['a group member is refused though others may', 1000, [600], 0o606, O.RDONLY, 'EACCES'],
  ] as const)('checks permissions: %s', (_case, uid, groups, mode, flags, expected) => {
    const test = tree();
    const place = test.must(() => walkPath(test.kernel, test.task, null, '/d/file', { follow: true }));
    test.must(() => changeOwner(test.kernel, test.task, place, 500, 600));
    test.must(() => changeMode(test.kernel, test.task, place, mode));
    asUser(test, uid, [...groups]);
    expect(nameOf(open(test, '/d/file', flags))).toBe(expected);
  });
});

describe('names', () => {
  it.each([
    ['rmdir of a full directory', (t: FsTest) => removeDirectory(t.kernel, t.task, null, '/d'), 'ENOTEMPTY'],
    ['rmdir of a file', (t: FsTest) => removeDirectory(t.kernel, t.task, null, '/d/file'), 'ENOTDIR'],
    ['rmdir of .', (t: FsTest) => removeDirectory(t.kernel, t.task, null, '/d/.'), 'EINVAL'],
    ['rmdir of the root', (t: FsTest) => removeDirectory(t.kernel, t.task, null, '/'), 'EBUSY'],
    ['unlink of a directory', (t: FsTest) => removeFile(t.kernel, t.task, null, '/d/e'), 'EISDIR'],
    [
      'mkdir over something',
      (t: FsTest) => makeDirectory(t.kernel, t.task, null, '/d/file', 0o755),
      'EEXIST',
    ],
    [
      'rename into itself',
      (t: FsTest) => renamePath(t.kernel, t.task, null, '/d', null, '/d/e/f', 0),
      'EINVAL',
    ],
    [
      'rename of a file over a directory',
      (t: FsTest) => renamePath(t.kernel, t.task, null, '/d/file', null, '/d/e', 0),
      'EISDIR',
    ],
    [
      'rename of a directory over a file',
      (t: FsTest) => renamePath(t.kernel, t.task, null, '/d/e', null, '/d/file', 0),
      'ENOTDIR',
    ],
    [
      'rename over an ancestor',
      (t: FsTest) => renamePath(t.kernel, t.task, null, '/d/e', null, '/d', 0),
      'ENOTEMPTY',
    ],
    [
      'rename without replacing',
      (t: FsTest) => renamePath(t.kernel, t.task, null, '/d/file', null, '/d/link', RENAME.NOREPLACE),
      'EEXIST',
    ],
    [
      'exchange',
      (t: FsTest) => renamePath(t.kernel, t.task, null, '/d/file', null, '/d/e', RENAME.EXCHANGE),
      'ok',
    ],
  ])('%s', (_case, call, expected) => {
    const test = tree();
    expect(nameOf(test.run(() => call(test)))).toBe(expected);
  });

  it('keeps an unlinked file alive until it is closed', () => {
    const test = tree();
    const file = mustOpen(test, '/d/file', O.RDONLY);
    test.must(() => removeFile(test.kernel, test.task, null, '/d/file'));
    const bytes = new Uint8Array(4);
    test.must(() => readFile(test.kernel, test.task, file, { kind: 'kernel', bytes }, 0));
    expect(latin1(bytes)).toBe('text');
    expect(file.inode.linkCount).toBe(0);
    putFile(test.kernel, file);
    expect(nameOf(open(test, '/d/file', O.RDONLY))).toBe('ENOENT');
  });

  it('counts links, and gives setgid directories their group', () => {
    const test = tree();
    const { kernel, task } = test;
    const place = test.must(() => walkPath(kernel, task, null, '/d/file', { follow: true }));
    test.must(() => makeLink(kernel, task, place, null, '/second'));
    expect(statOf(kernel, place.dentry.inode ?? (null as never)).linkCount).toBe(2);
    const directory = test.must(() => walkPath(kernel, task, null, '/d', { follow: true }));
    test.must(() => changeOwner(kernel, task, directory, -1, 77));
    test.must(() => changeMode(kernel, task, directory, 0o2775));
    put(test, '/d/new', '');
    const made = test.must(() => walkPath(kernel, task, null, '/d/new', { follow: true }));
    expect(made.dentry.inode?.gid).toBe(77);
  });

  it('lets only owners remove from a sticky directory', () => {
    const test = tree();
    const place = test.must(() => walkPath(test.kernel, test.task, null, '/d', { follow: true }));
    test.must(() => changeMode(test.kernel, test.task, place, 0o1777));
    asUser(test, 1000);
    expect(nameOf(test.run(() => removeFile(test.kernel, test.task, null, '/d/file')))).toBe('EPERM');
  });

  it('shows paths as getcwd does', () => {
    const test = tree();
    const place = test.must(() => walkPath(test.kernel, test.task, null, '/dlink/e', { follow: true }));
    expect(pathText(test.kernel, place, test.task.fs.root)).toBe('/d/e');
  });
});

describe('mounts', () => {
  it('covers a directory, refuses what is in use, and shows what was below again', () => {
    const test = tree();
    const { kernel, task } = test;
    const at = test.must(() => walkPath(kernel, task, null, '/d/e', { follow: true }));
    put(test, '/d/e/below', 'x');
    test.must(() => mountAt(kernel, 'tmpfs', 'tmpfs', at, 0, 'size=64k'));
    expect(nameOf(open(test, '/d/e/below', O.RDONLY))).toBe('ENOENT');
    put(test, '/d/e/above', 'y');
    expect(get(test, '/d/e/../e/above')).toBe('y');
    expect(nameOf(test.run(() => renamePath(kernel, task, null, '/d/e/above', null, '/d/x', 0)))).toBe(
      'EXDEV',
    );
    expect(nameOf(test.run(() => removeDirectory(kernel, task, null, '/d/e')))).toBe('EBUSY');
    const file = mustOpen(test, '/d/e/above', O.RDONLY);
    expect(nameOf(test.run(() => unmountCall(kernel, task, '/d/e', 0)))).toBe('EBUSY');
    putFile(kernel, file);
    expect(nameOf(test.run(() => unmountCall(kernel, task, '/d/e', 0)))).toBe('ok');
    expect(get(test, '/d/e/below')).toBe('x');
  });

  it('binds, and remounts read-only', () => {
    const test = tree();
    const { kernel, task } = test;
    test.must(() => makeDirectory(kernel, task, null, '/b', 0o755));
    test.must(() => mountCall(kernel, task, '/d', '/b', '', MS.BIND, ''));
    expect(get(test, '/b/file')).toBe('text');
    test.must(() => mountCall(kernel, task, '', '/b', '', MS.BIND | MS.REMOUNT | MS.RDONLY, ''));
    expect(nameOf(open(test, '/b/new', O.CREAT | O.WRONLY))).toBe('EROFS');
    expect(nameOf(open(test, '/d/new', O.CREAT | O.WRONLY))).toBe('ok');
  });

  it('keeps tmpfs within its size', () => {
    const test = tree();
    const { kernel, task } = test;
    test.must(() => mountCall(kernel, task, 'tmpfs', '/d/e', 'tmpfs', 0, 'size=64k'));
    const file = mustOpen(test, '/d/e/x', O.CREAT | O.WRONLY);
    const bytes = new Uint8Array(65_536);
    expect(test.must(() => writeFile(kernel, task, file, { kind: 'kernel', bytes }, 0))).toBe(65_536);
    expect(nameOf(test.run(() => writeFile(kernel, task, file, { kind: 'kernel', bytes }, 65_536)))).toBe(
      'ENOSPC',
    );
    expect(file.inode.size).toBe(65_536);
    const place = test.must(() => walkPath(kernel, task, null, '/d/e/x', { follow: true }));
    test.must(() => truncatePath(kernel, task, place, 0));
    expect(test.must(() => writeFile(kernel, task, file, { kind: 'kernel', bytes }, 0))).toBe(65_536);
  });

  it('has device nodes in devtmpfs, and refuses them with nodev', () => {
    const test = tree();
    const { kernel, task } = test;
    test.must(() => mountCall(kernel, task, 'dev', '/d/e', 'devtmpfs', 0, ''));
    const file = mustOpen(test, '/d/e/vda', O.RDONLY);
    expect(file.operations).toBe('block-file');
    test.must(() => mountCall(kernel, task, '', '/d/e', '', MS.REMOUNT | MS.NODEV, ''));
    expect(nameOf(open(test, '/d/e/vda', O.RDONLY))).toBe('EACCES');
    test.must(() => makeNode(kernel, task, null, '/odd', 'char', 0o666, makeDevice(250, 0)));
    expect(nameOf(open(test, '/odd', O.RDONLY))).toBe('ENXIO');
  });
});

describe('descriptors', () => {
  it('gives the lowest one, up to the limit', () => {
    const test = tree();
    const { kernel, task } = test;
    for (let i = 0; i < 4; i++) installFile(kernel, task, mustOpen(test, '/d/file', O.RDONLY), i === 1);
    closeDescriptor(kernel, task, 2);
    expect(freeDescriptor(kernel, task)).toBe(2);
    expect(nameOf(fileOf(task, 2))).toBe('EBADF');
    const limit = task.process.rlimits[7];
    if (limit) limit.current = 2;
    const file = mustOpen(test, '/d/file', O.RDONLY);
    expect(nameOf(installFile(kernel, task, file, false))).toBe('EMFILE');
    const copy = copyFileTable(kernel, task.files);
    const before = kernel.vfs.openFiles;
    putFileTable(kernel, copy);
    expect(kernel.vfs.openFiles).toBe(before);
    putFileTable(kernel, task.files);
    putFile(kernel, file);
    expect(kernel.vfs.openFiles).toBe(0);
  });
});

describe('locks', () => {
  const another = (test: FsTest): FsTest['task'] => ({
    ...test.task,
    tid: 200,
    process: { ...test.task.process, pid: 200 },
    waitingOn: [],
  });

  it('keeps flock locks apart by open file', () => {
    const test = tree();
    const { kernel, task } = test;
    const first = mustOpen(test, '/d/file', O.RDONLY);
    const second = mustOpen(test, '/d/file', O.RDONLY);
    expect(nameOf(flockFile(kernel, task, first, true, false))).toBe('ok');
    expect(nameOf(flockFile(kernel, task, second, false, false))).toBe('EAGAIN');
    putFile(kernel, first);
    expect(nameOf(flockFile(kernel, task, second, true, false))).toBe('ok');
    expect(LOCK.EX + AT_FDCWD).toBe(-98);
  });

  it('refuses a circle of record locks', () => {
    const test = tree();
    const { kernel, task } = test;
    const other = another(test);
    const { inode } = mustOpen(test, '/d/file', O.RDWR);
    const lock = (pid: number, start: number) => ({
      owner: `p${pid}`,
      pid,
      exclusive: true,
      start,
      end: start,
    });
    expect(nameOf(setRecordLock(kernel, task, inode, lock(100, 0), true))).toBe('ok');
    expect(nameOf(setRecordLock(kernel, other, inode, lock(200, 1), true))).toBe('ok');
    setRecordLock(kernel, other, inode, lock(200, 0), true);
    expect(nameOf(setRecordLock(kernel, task, inode, lock(100, 1), true))).toBe('EDEADLK');
  });
});

it('reports names and closes through inotify', () => {
  const test = tree();
  const { kernel, task } = test;
  const inotify: Inotify = newInotify();
  const file = test.must(() => newAnonymousFile(kernel, 'inotify', inotify, O.RDONLY));
  const place = test.must(() => walkPath(kernel, task, null, '/d', { follow: true }));
  const wd = test.must(() =>
    addWatch(
      kernel,
      inotify,
      place.dentry.inode ?? (null as never),
      IN.CREATE | IN.CLOSE_WRITE | IN.DELETE | IN.MOVED_TO,
    ),
  );
  put(test, '/d/new', 'x');
  test.must(() => renamePath(kernel, task, null, '/d/new', null, '/d/newer', 0));
  test.must(() => removeFile(kernel, task, null, '/d/newer'));
  const bytes = new Uint8Array(4096);
  const count = test.must(() => readFile(kernel, task, file, { kind: 'kernel', bytes }, 0));
  const masks: number[] = [];
  for (let at = 0; at < count; at += 16 + get32(bytes, at + 12)) {
    expect(get32(bytes, at)).toBe(wd);
    masks.push(get32(bytes, at + 4));
  }
  expect(masks).toEqual([IN.CREATE, IN.CLOSE_WRITE, IN.MOVED_TO, IN.DELETE]);
  expect(walk(test, '/d')).toBeTypeOf('object');
  expect(inodeOperations['ramfs']).toBeDefined();
});
