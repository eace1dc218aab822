/**
 * The versions of the machine file. A change of the format adds a step here, and its number is the file's
 * new user_version; a file of an older version is brought forward when it is opened for writing.
 */
import type Database from 'better-sqlite3';
import { TABLES } from './schema.ts';

interface Migration {
  readonly version: number;
  /** What the user is told while it runs. */
  readonly text: string;
  readonly up: (db: Database.Database) => void;
}

export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    text: 'making the tables',
    up: (db) => {
      for (const sql of Object.values(TABLES)) db.exec(sql);
    },
  },
];

export const CURRENT_VERSION = MIGRATIONS.at(-1)?.version ?? 0;

/** Brings a database to the current version, in one transaction. */
export function migrate(db: Database.Database, fromVersion: number): void {
  const steps = MIGRATIONS.filter((migration) => migration.version > fromVersion);
  if (steps.length === 0) return;
  db.transaction(() => {
    for (const step of steps) {
      step.up(db);
      db.pragma(`user_version = ${step.version}`);
    }
  })();
}
