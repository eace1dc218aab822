/**
 * The input log and the notes. Inputs gather in memory and go into the file with the next transaction, in
 * their order: a key press alone is not worth a write to the host's disk.
 */
import { deserialize, serialize } from 'node:v8';
import { inTransaction, reading, sql } from './database.ts';
import { damaged, MachineFileError } from './errors.ts';
import { blobOf, textOf } from './rows.ts';
import { MAX_META_BYTES, MAX_NAME_LENGTH } from './schema.ts';
import type { MachineState } from './state.ts';

const MAX_PENDING = 1000;

export function appendInput(state: MachineState, entry: unknown): void {
  state.pendingInputs.push(serialize(entry));
  if (state.pendingInputs.length >= MAX_PENDING) flushInputs(state);
}

/** Within a transaction. The caller empties the list after the commit. */
export function storePendingInputs(state: MachineState): void {
  const insert = sql(state.file, 'INSERT INTO input (entry) VALUES (?)');
  for (const entry of state.pendingInputs) insert.run(entry);
}

export function flushInputs(state: MachineState): void {
  if (state.pendingInputs.length === 0) return;
  inTransaction(state.file, () => storePendingInputs(state));
  state.pendingInputs = [];
}

export function readInputs<E>(state: MachineState, check: (entry: unknown) => E): E[] {
  if (!state.file.isReadOnly) flushInputs(state);
  return reading(state.file, () =>
    sql(state.file, 'SELECT entry FROM input ORDER BY id')
      .all()
      .map((row) => {
        const packed = blobOf(row, 'entry', MAX_META_BYTES);
        let entry: unknown;
        try {
          entry = deserialize(packed);
        } catch {
          throw damaged('an entry of the input log does not unpack');
        }
        return check(entry);
      }),
  );
}

export function clearInputs(state: MachineState): void {
  inTransaction(state.file, () => sql(state.file, 'DELETE FROM input').run());
  state.pendingInputs = [];
}

export function writeNote(state: MachineState, name: string, text: string): void {
  if (name === '' || name.length > MAX_NAME_LENGTH)
    throw new MachineFileError('invalid', 'A note needs a name.');
  inTransaction(state.file, () => {
    if (text === '') sql(state.file, 'DELETE FROM note WHERE name = ?').run(name);
    else sql(state.file, 'INSERT OR REPLACE INTO note (name, text) VALUES (?, ?)').run(name, text);
  });
}

export function readNotes(state: MachineState): Map<string, string> {
  return reading(state.file, () => {
    const rows = sql(state.file, 'SELECT name, text FROM note ORDER BY name').all();
    return new Map(rows.map((row) => [textOf(row, 'name'), textOf(row, 'text')]));
  });
}
