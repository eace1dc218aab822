/**
 * Sessions: performance recordings. A session is a span of virtual time with a description, and chunks of
 * columns: each chunk belongs to a stream (counters, sched, syscalls …) and holds named arrays of bytes.
 * Chunks may be appended while a recording runs.
 */
import { deserialize, serialize } from 'node:v8';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { parseJson } from './config.ts';
import { inTransaction, reading, sql } from './database.ts';
import { damaged, MachineFileError } from './errors.ts';
import { blobOf, integerOf, textOf } from './rows.ts';
import { MAX_NAME_LENGTH, MAX_STATE_BYTES } from './schema.ts';
import type { MachineState } from './state.ts';

export interface SessionInfo {
  readonly name: string;
  readonly startNs: number;
  readonly endNs: number;
  /** JSON; nothing here looks into it. */
  readonly meta: unknown;
}

export interface SessionChunk {
  readonly stream: string;
  readonly columns: Readonly<Record<string, Uint8Array>>;
}

const params = { params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 } };

function findId(state: MachineState, name: string): number {
  const row = sql(state.file, 'SELECT id FROM session WHERE name = ?').get(name);
  if (row === undefined) throw new MachineFileError('unknown-name', `There is no session named ${name}.`);
  return integerOf(row, 'id');
}

function insertChunk(state: MachineState, session: number | bigint, chunk: SessionChunk): void {
  const columns = zstdCompressSync(serialize(new Map(Object.entries(chunk.columns))), params);
  sql(
    state.file,
    'INSERT INTO session_chunk (session, id, stream, columns) ' +
      'SELECT ?, coalesce(max(id), 0) + 1, ?, ? FROM session_chunk WHERE session = ?',
  ).run(session, chunk.stream, columns, session);
}

export function saveSession(state: MachineState, info: SessionInfo, chunks: readonly SessionChunk[]): void {
  if (info.name === '' || info.name.length > MAX_NAME_LENGTH) {
    throw new MachineFileError('invalid', `A session needs a name of at most ${MAX_NAME_LENGTH} characters.`);
  }
  if (sql(state.file, 'SELECT 1 FROM session WHERE name = ?').get(info.name) !== undefined) {
    throw new MachineFileError('exists', `There is already a session named ${info.name}.`);
  }
  inTransaction(state.file, () => {
    const inserted = sql(
      state.file,
      'INSERT INTO session (name, start_ns, end_ns, meta) VALUES (?, ?, ?, ?)',
    ).run(info.name, info.startNs, info.endNs, JSON.stringify(info.meta ?? null));
    for (const chunk of chunks) insertChunk(state, inserted.lastInsertRowid, chunk);
  });
}

/** Adds chunks to a session and moves its end. */
export function appendSession(
  state: MachineState,
  name: string,
  endNs: number,
  chunks: readonly SessionChunk[],
): void {
  const id = findId(state, name);
  inTransaction(state.file, () => {
    for (const chunk of chunks) insertChunk(state, id, chunk);
    sql(state.file, 'UPDATE session SET end_ns = ? WHERE id = ?').run(endNs, id);
  });
}

function infoOf(row: unknown): SessionInfo {
  return {
    name: textOf(row, 'name'),
    startNs: integerOf(row, 'start_ns'),
    endNs: integerOf(row, 'end_ns'),
    meta: parseJson(textOf(row, 'meta'), 'the description of a session'),
  };
}

export function listSessions(state: MachineState): SessionInfo[] {
  return reading(state.file, () =>
    sql(state.file, 'SELECT name, start_ns, end_ns, meta FROM session ORDER BY id').all().map(infoOf),
  );
}

function columnsOf(row: unknown): Record<string, Uint8Array> {
  const packed = blobOf(row, 'columns', MAX_STATE_BYTES);
  let value: unknown;
  try {
    value = deserialize(zstdDecompressSync(packed, { maxOutputLength: MAX_STATE_BYTES }));
  } catch {
    throw damaged('a part of a session does not unpack');
  }
  if (!(value instanceof Map)) throw damaged('a part of a session is not a table of columns');
  const columns: [string, Uint8Array][] = [];
  for (const [name, bytes] of value) {
    if (typeof name !== 'string' || !(bytes instanceof Uint8Array))
      throw damaged('a column of a session is not bytes');
    columns.push([name, Uint8Array.from(bytes)]); // aligned, so that a Float64Array can be laid over it
  }
  return Object.fromEntries(columns);
}

export function readSession(
  state: MachineState,
  name: string,
): { info: SessionInfo; chunks: SessionChunk[] } {
  return reading(state.file, () => {
    const id = findId(state, name);
    const info = infoOf(
      sql(state.file, 'SELECT name, start_ns, end_ns, meta FROM session WHERE id = ?').get(id),
    );
    const rows = sql(
      state.file,
      'SELECT stream, columns FROM session_chunk WHERE session = ? ORDER BY id',
    ).all(id);
    return { info, chunks: rows.map((row) => ({ stream: textOf(row, 'stream'), columns: columnsOf(row) })) };
  });
}

/** Gives a session another name or description. */
export function changeSession(
  state: MachineState,
  name: string,
  change: { readonly name?: string; readonly meta?: unknown },
): void {
  const id = findId(state, name);
  const next = change.name ?? name;
  if (next === '' || next.length > MAX_NAME_LENGTH) {
    throw new MachineFileError('invalid', `A session needs a name of at most ${MAX_NAME_LENGTH} characters.`);
  }
  if (next !== name && sql(state.file, 'SELECT 1 FROM session WHERE name = ?').get(next) !== undefined) {
    throw new MachineFileError('exists', `There is already a session named ${next}.`);
  }
  inTransaction(state.file, () => {
    sql(state.file, 'UPDATE session SET name = ? WHERE id = ?').run(next, id);
    if (change.meta !== undefined)
      sql(state.file, 'UPDATE session SET meta = ? WHERE id = ?').run(JSON.stringify(change.meta), id);
  });
}

export function deleteSession(state: MachineState, name: string): void {
  const id = findId(state, name);
  inTransaction(state.file, () => {
    sql(state.file, 'DELETE FROM session_chunk WHERE session = ?').run(id);
    sql(state.file, 'DELETE FROM session WHERE id = ?').run(id);
  });
}
