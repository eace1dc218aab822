/**
 * The open database of a machine file and its transactions. One connection holds the file alone: with
 * WAL in exclusive locking mode there is no shared-memory file, and a second process is turned away.
 */
import type Database from 'better-sqlite3';
import { explain } from './errors.ts';

export interface MachineDatabase {
  readonly path: string;
  readonly db: Database.Database;
  readonly isReadOnly: boolean;
  /** Prepared once each, by text. */
  readonly statements: Map<string, Database.Statement>;
}

export function sql(file: MachineDatabase, text: string): Database.Statement {
  let statement = file.statements.get(text);
  if (statement === undefined) {
    statement = file.db.prepare(text);
    file.statements.set(text, statement);
  }
  return statement;
}

/**
 * Runs `work` in one transaction; what it wrote is durable when this returns. If it or the commit fails,
 * nothing of it is in the file. State in memory must change only after this has returned.
 */
export function inTransaction<T>(file: MachineDatabase, work: () => T): T {
  try {
    if (file.db.inTransaction) return work();
    file.db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      file.db.exec('COMMIT');
      return result;
    } catch (error) {
      if (file.db.inTransaction) file.db.exec('ROLLBACK');
      throw error;
    }
  } catch (error) {
    throw explain(error, file.path);
  }
}

/** Runs a read and says in our words what goes wrong in it. */
export function reading<T>(file: MachineDatabase, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw explain(error, file.path);
  }
}
