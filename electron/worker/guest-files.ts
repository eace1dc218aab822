// The guest's files, as the screen and the command line ask for them. Paths of the protocol are Unicode; the kernel's hold
// one char per byte of UTF-8.
import { ProtocolError } from '../protocol/codec.ts';
import type { FileInfo } from '../protocol/reports.ts';
import { askGuest, GuestError, type OpenMachine } from './machine.ts';
import type { GuestEntry, HostAsk } from '../../kernel/index.ts';

export const toGuest = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
export const fromGuest = (text: string): string => Buffer.from(text, 'latin1').toString('utf8');

const MEANING: Readonly<Record<string, string>> = {
  ENOENT: 'There is no such file or directory',
  EACCES: 'Permission denied',
  ENOTDIR: 'A part of the path is not a directory',
  EISDIR: 'It is a directory',
  EEXIST: 'It exists already',
  ENOSPC: 'The disk of the machine is full',
  ENOTEMPTY: 'The directory is not empty',
  EFBIG: 'The file is too large to be opened here',
  EROFS: 'The file system is mounted read-only',
  EINVAL: 'The path or the file is not of the right kind',
};

/** Asks, and gives a guest's errno as a problem in words. */
async function ask(machine: OpenMachine, wanted: HostAsk): Promise<unknown> {
  try {
    return await askGuest(machine, wanted);
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    const path = fromGuest(wanted.path);
    throw new ProtocolError(error.errno, `${path}: ${MEANING[error.errno] ?? error.errno}.`);
  }
}

function infoOf(entry: GuestEntry): FileInfo {
  return {
    name: fromGuest(entry.name), kind: entry.kind, sizeBytes: entry.size, mode: entry.mode, uid: entry.uid, gid: entry.gid,
    modifiedNs: entry.mtimeNs, target: entry.target === null ? null : fromGuest(entry.target),
    opensAsDirectory: entry.opensAsDirectory,
  }; // prettier-ignore
}

/** Entries of a directory, directories first, then by name. */
export async function listDirectory(machine: OpenMachine, path: string): Promise<FileInfo[]> {
  const entries = (await ask(machine, { kind: 'list', path: toGuest(path) })) as { entries: GuestEntry[] };
  return entries.entries
    .map(infoOf)
    .sort((a, b) => Number(b.opensAsDirectory) - Number(a.opensAsDirectory) || (a.name < b.name ? -1 : 1));
}

export async function statFile(machine: OpenMachine, path: string): Promise<FileInfo> {
  return infoOf(((await ask(machine, { kind: 'stat', path: toGuest(path) })) as { entry: GuestEntry }).entry);
}

/** The largest file that is read as a whole. */
const LARGEST_FILE = 256 * 1024 * 1024;

export async function readGuestFile(machine: OpenMachine, path: string): Promise<Uint8Array> {
  return (
    (await ask(machine, { kind: 'read', path: toGuest(path), maxBytes: LARGEST_FILE })) as {
      bytes: Uint8Array;
    }
  ).bytes;
}

/** Replaces or creates a file; `owner` owns what is created. */
export async function writeGuestFile(
  machine: OpenMachine,
  path: string,
  bytes: Uint8Array,
  mode: number,
  owner: string,
): Promise<void> {
  await ask(machine, { kind: 'write', path: toGuest(path), bytes, mode, owner });
}

export async function makeDirectory(machine: OpenMachine, path: string, owner: string): Promise<void> {
  await ask(machine, { kind: 'mkdir', path: toGuest(path), owner });
}

export async function renameFile(machine: OpenMachine, from: string, to: string): Promise<void> {
  await ask(machine, { kind: 'rename', path: toGuest(from), to: toGuest(to) });
}

/** A directory goes with all that is in it. */
export async function removeTree(machine: OpenMachine, path: string): Promise<void> {
  const file = await statFile(machine, path);
  if (file.kind === 'directory') {
    for (const entry of await listDirectory(machine, path))
      await removeTree(machine, `${path.replace(/\/$/, '')}/${entry.name}`);
  }
  await ask(machine, { kind: 'remove', path: toGuest(path) });
}

/** Paths of regular files below `root` whose path holds `text` (case does not count), breadth first. */
export async function findFiles(
  machine: OpenMachine,
  root: string,
  text: string,
  limit: number,
  signal: AbortSignal,
): Promise<string[]> {
  const found: string[] = [];
  const open = [root.replace(/\/$/, '')];
  const wanted = text.toLowerCase();
  for (
    let folder = open.shift();
    folder !== undefined && found.length < limit && !signal.aborted;
    folder = open.shift()
  ) {
    if (['/proc', '/sys', '/dev'].includes(folder)) continue;
    const entries = await listDirectory(machine, folder === '' ? '/' : folder).catch(() => []);
    for (const entry of entries) {
      const path = `${folder}/${entry.name}`;
      if (entry.kind === 'directory') open.push(path);
      else if (entry.kind === 'file' && path.toLowerCase().includes(wanted)) found.push(path);
    }
  }
  return found.slice(0, limit);
}
