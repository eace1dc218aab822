/**
 * Machine files: one machine in one SQLite database, `NAME.ringside`.
 *
 * `createMachineFile` copies an image and configures it, `openMachineFile` opens what is there. Everything is
 * synchronous; whatever fails throws a `MachineFileError` whose message is for the user, and has changed
 * nothing. A file is open once at a time.
 */
import { randomBytes } from 'node:crypto';
import { constants, copyFileSync, existsSync, rmSync } from 'node:fs';
import { swapHeader } from '../mkfs/mkswap.ts';
import { openChunkStore } from './chunks.ts';
import { readConfigFrom, readMeta, readMetaJson, validConfig, writeMeta, writeMetaJson } from './config.ts';
import type { MachineConfig } from './config.ts';
import { inTransaction, reading, sql } from './database.ts';
import type { MachineDatabase } from './database.ts';
import { flushDisks, isOverfull, readBlock, readBlocks, writeBlocks } from './disk.ts';
import type { DiskState } from './disk.ts';
import { explain, MachineFileError } from './errors.ts';
import { newLayer } from './layers.ts';
import {
  appendInput,
  clearInputs,
  flushInputs,
  readInputs,
  readNotes,
  storePendingInputs,
  writeNote,
} from './log.ts';
import { closeDatabase, openDatabase } from './open.ts';
import { PAGE } from './schema.ts';
import * as sessions from './sessions.ts';
import type { SessionChunk, SessionInfo } from './sessions.ts';
import * as snapshots from './snapshots.ts';
import type {
  LoadedSnapshot,
  SnapshotContent,
  SnapshotInfo,
  SnapshotMeta,
  SnapshotTarget,
} from './snapshots.ts';
import { countUses, openDisks } from './state.ts';
import type { MachineState } from './state.ts';
import * as transfer from './transfer.ts';
import type { DiskCheck } from './transfer.ts';

export { MachineFileError } from './errors.ts';
export type { Reason } from './errors.ts';
export { LIMITS } from './config.ts';
export type { CpuModel, DiskProfile, MachineConfig } from './config.ts';
export { CPU_MODELS } from './config.ts';
export type {
  LoadedSnapshot,
  SnapshotContent,
  SnapshotInfo,
  SnapshotMeta,
  SnapshotTarget,
} from './snapshots.ts';
export type { SessionChunk, SessionInfo } from './sessions.ts';
export type { DiskCheck } from './transfer.ts';

/** A disk of 4096-byte blocks. */
export interface Disk {
  readonly name: string;
  readonly blockCount: number;
  /** A copy of the block; null for zeros (which may also come as a block of zeros). */
  readBlock(block: number): Uint8Array | null;
  readBlocks(first: number, count: number): Uint8Array;
  /** `bytes` is whole blocks. Durable after `flush`. */
  writeBlocks(first: number, bytes: Uint8Array): void;
  flush(): void;
}

export interface MachineFile {
  readonly path: string;
  readonly isReadOnly: boolean;
  readConfig(): MachineConfig;
  writeConfig(config: MachineConfig): void;
  /** What the image was made of. */
  readManifest(): unknown;
  diskNames(): string[];
  disk(name: string): Disk;

  saveSnapshot(name: string, content: SnapshotContent, meta: SnapshotMeta): void;
  listSnapshots(): SnapshotInfo[];
  /** Also takes the disks back to the snapshot. `check` gives the kernel state its type, or throws. */
  loadSnapshot<K>(name: string, target: SnapshotTarget, check: (kernel: unknown) => K): LoadedSnapshot<K>;
  deleteSnapshot(name: string): void;
  /** Keeps the state in which the machine is closed; a later durable disk write makes it stale. */
  saveRunning(content: SnapshotContent, meta: SnapshotMeta): void;
  findRunning(): SnapshotInfo | undefined;
  /** Undefined when there is none that may be resumed: then boot from the disks. */
  loadRunning<K>(target: SnapshotTarget, check: (kernel: unknown) => K): LoadedSnapshot<K> | undefined;
  dropRunning(): void;

  appendInput(entry: unknown): void;
  flushInputs(): void;
  inputs<E>(check: (entry: unknown) => E): E[];
  clearInputs(): void;
  /** An empty text deletes the note. */
  writeNote(name: string, text: string): void;
  notes(): Map<string, string>;

  saveSession(info: SessionInfo, chunks: readonly SessionChunk[]): void;
  appendSessionChunks(name: string, endNs: number, chunks: readonly SessionChunk[]): void;
  listSessions(): SessionInfo[];
  readSession(name: string): { info: SessionInfo; chunks: SessionChunk[] };
  changeSession(name: string, change: { readonly name?: string; readonly meta?: unknown }): void;
  deleteSession(name: string): void;

  exportDisk(name: string, path: string): void;
  importDisk(name: string, path: string): void;
  /** Undefined where the host has no e2fsck. */
  checkDisk(name: string): DiskCheck | undefined;
  /** Reads every page of the file; gives what is wrong, in words. */
  verify(): string[];
  /** Flushes the disks, unless told to drop what is not flushed, and lets go of the file. */
  close(options?: { readonly dropUnflushed?: boolean }): void;
}

export interface NewMachine {
  /** Path of an image file. */
  readonly image: string;
  readonly config: MachineConfig;
}

const HASH_KEY_BYTES = 32;

/** Makes a machine: a copy of the image with a configuration, a swap disk and a hash key of its own. */
export function createMachineFile(path: string, { image, config }: NewMachine): MachineFile {
  const checked = validConfig(config);
  if (existsSync(path)) throw new MachineFileError('exists', `There is already a file at ${path}.`);
  if (!existsSync(image))
    throw new MachineFileError('missing', `The image ${image} is missing. Build it again.`);
  try {
    copyFileSync(image, path, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    const file = openDatabase(path, false);
    try {
      inTransaction(file, () => {
        if (readMetaJson(file, 'kind') !== 'image')
          throw new MachineFileError('invalid', `${image} is not an image.`);
        writeMetaJson(file, 'kind', 'machine');
        writeMetaJson(file, 'config', checked);
        writeMeta(file, 'hash-key', randomBytes(HASH_KEY_BYTES));
        // The image's layer stays as it is, for every snapshot to stand on.
        for (const disk of openDisks(file).values()) {
          sql(file, 'UPDATE disk SET top = ? WHERE name = ?').run(newLayer(file, disk.top), disk.name);
        }
        if (checked.swapBytes > 0) {
          sql(file, 'INSERT INTO disk (name, blocks, top) VALUES (?, ?, ?)').run(
            'vdb',
            checked.swapBytes / PAGE,
            newLayer(file, null),
          );
        }
      });
    } finally {
      closeDatabase(file);
    }
    const machine = openMachineFile(path);
    if (checked.swapBytes > 0) {
      const swap = machine.disk('vdb');
      swap.writeBlocks(0, swapHeader(checked.swapBytes, new Uint8Array(16).fill(0x52), 'swap'));
      swap.flush();
    }
    return machine;
  } catch (error) {
    const isOurs = !(error instanceof MachineFileError && error.reason === 'exists');
    if (isOurs) for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
    throw explain(error, path);
  }
}

function checkMachine(file: MachineDatabase): void {
  const kind = readMetaJson(file, 'kind');
  if (kind === 'image') {
    throw new MachineFileError('not-a-machine', `${file.path} is an image; make a machine from it.`);
  }
  if (kind !== 'machine') {
    throw new MachineFileError('damaged', `The machine file ${file.path} does not say what it is.`);
  }
  readConfigFrom(file);
  openDisks(file);
}

export function openMachineFile(path: string, options: { readonly readOnly?: boolean } = {}): MachineFile {
  const file = openDatabase(path, options.readOnly === true, checkMachine);
  try {
    return reading(file, () => {
      const store = openChunkStore(file, readMeta(file, 'hash-key'));
      const state: MachineState = {
        file,
        store,
        disks: openDisks(file),
        lastRam: undefined,
        isRunningFresh: snapshots.readRunningFresh({ file }),
        pendingInputs: [],
      };
      if (!file.isReadOnly) countUses(file, store);
      return machineFileOf(state);
    });
  } catch (error) {
    file.db.close();
    throw error;
  }
}

function machineFileOf(state: MachineState): MachineFile {
  const { file, store } = state;
  const diskOf = (name: string): DiskState => {
    const disk = state.disks.get(name);
    if (disk === undefined)
      throw new MachineFileError('unknown-name', `The machine has no disk named ${name}.`);
    return disk;
  };
  const flush = (disks: readonly DiskState[]) => {
    if (disks.every((disk) => disk.dirty.size === 0)) return;
    flushDisks(store, disks, () => {
      snapshots.markRunningStale(state);
      storePendingInputs(state);
    });
    state.isRunningFresh = false;
    state.pendingInputs = [];
  };
  const write = (disk: DiskState, first: number, bytes: Uint8Array) => {
    if (file.isReadOnly) throw new MachineFileError('not-writable', `${file.path} is open for reading only.`);
    writeBlocks(disk, first, bytes);
    if (isOverfull(disk)) flush([disk]);
  };
  return {
    path: file.path,
    isReadOnly: file.isReadOnly,
    readConfig: () => readConfigFrom(file),
    writeConfig: (config) => {
      const checked = validConfig(config);
      inTransaction(file, () => writeMetaJson(file, 'config', checked));
    },
    readManifest: () => readMetaJson(file, 'manifest'),
    diskNames: () => [...state.disks.keys()],
    disk: (name) => {
      const disk = diskOf(name);
      return {
        name,
        blockCount: disk.blockCount,
        readBlock: (block) => readBlock(store, disk, block),
        readBlocks: (first, count) => readBlocks(store, disk, first, count),
        writeBlocks: (first, bytes) => write(disk, first, bytes),
        flush: () => flush([disk]),
      };
    },

    saveSnapshot: (name, content, meta) => snapshots.saveNamed(state, name, content, meta),
    listSnapshots: () => snapshots.listNamed(state),
    loadSnapshot: (name, target, check) => snapshots.loadNamed(state, name, target, check),
    deleteSnapshot: (name) => snapshots.deleteNamed(state, name),
    saveRunning: (content, meta) => snapshots.saveRunning(state, content, meta),
    findRunning: () => snapshots.findRunning(state),
    loadRunning: (target, check) => snapshots.loadRunning(state, target, check),
    dropRunning: () => snapshots.dropRunning(state),

    appendInput: (entry) => appendInput(state, entry),
    flushInputs: () => flushInputs(state),
    inputs: (check) => readInputs(state, check),
    clearInputs: () => clearInputs(state),
    writeNote: (name, text) => writeNote(state, name, text),
    notes: () => readNotes(state),

    saveSession: (info, chunks) => sessions.saveSession(state, info, chunks),
    appendSessionChunks: (name, endNs, chunks) => sessions.appendSession(state, name, endNs, chunks),
    listSessions: () => sessions.listSessions(state),
    readSession: (name) => sessions.readSession(state, name),
    changeSession: (name, change) => sessions.changeSession(state, name, change),
    deleteSession: (name) => sessions.deleteSession(state, name),

    exportDisk: (name, path) => transfer.exportDisk(store, diskOf(name), path),
    importDisk: (name, path) => {
      const disk = diskOf(name);
      transfer.importDisk(store, disk, path, () => {
        if (isOverfull(disk)) flush([disk]);
      });
      flush([disk]);
    },
    checkDisk: (name) => transfer.checkDisk(store, diskOf(name)),
    verify: () => verify(state),
    close: (options = {}) => {
      if (!file.db.open) return;
      try {
        if (!file.isReadOnly && options.dropUnflushed !== true) {
          flush([...state.disks.values()]);
          flushInputs(state);
        }
      } finally {
        closeDatabase(file);
      }
    },
  };
}

function verify(state: MachineState): string[] {
  const problems: string[] = [];
  const { file, store } = state;
  try {
    for (const row of file.db.prepare('PRAGMA integrity_check(20)').raw(true).all()) {
      const line = Array.isArray(row) ? String(row[0]) : '';
      if (line !== 'ok') problems.push(line);
    }
  } catch (error) {
    problems.push(explain(error, file.path).message);
  }
  for (const disk of state.disks.values()) {
    for (let first = 0; first < disk.blockCount; first += 256) {
      try {
        readBlocks(store, disk, first, Math.min(256, disk.blockCount - first));
      } catch (error) {
        problems.push(`Disk ${disk.name}, from block ${first}: ${explain(error, file.path).message}`);
      }
    }
  }
  return problems;
}
