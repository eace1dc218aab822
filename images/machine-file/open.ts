/**
 * Opens the database behind a machine file, after making sure that it is one. Until every check has passed the
 * file is only read, through connections that cannot write, so that a refused file stays as it was.
 */
import { closeSync, existsSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { MachineDatabase } from './database.ts';
import { explain, MachineFileError } from './errors.ts';
import { CURRENT_VERSION, migrate } from './migrations.ts';
import { integerOf, isNull, textOf } from './rows.ts';
import { APPLICATION_ID, TABLES } from './schema.ts';

const HEADER_BYTES = 100;
const SQLITE_MAGIC = 'SQLite format 3\0';

function readHeader(path: string): { header: Buffer; sizeBytes: number } {
  let fd: number | undefined;
  try {
    const stat = statSync(path);
    if (!stat.isFile()) throw new MachineFileError('not-a-machine', `${path} is not a file.`);
    fd = openSync(path, 'r');
    const header = Buffer.alloc(HEADER_BYTES);
    const length = readSync(fd, header, 0, HEADER_BYTES, 0);
    return { header: header.subarray(0, length), sizeBytes: stat.size };
  } catch (error) {
    throw explain(error, path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The database header, https://www.sqlite.org/fileformat2.html#the_database_header. Gives the version. */
function checkHeader(path: string): number {
  const { header, sizeBytes } = readHeader(path);
  const isSqlite = header.toString('latin1', 0, 16) === SQLITE_MAGIC;
  if (!isSqlite || header.length < HEADER_BYTES) {
    throw new MachineFileError('not-a-machine', `${path} is not a Ringside machine file.`);
  }
  if (header.readUInt32BE(68) !== APPLICATION_ID) {
    throw new MachineFileError(
      'not-a-machine',
      `${path} is a database of another program, not a Ringside machine file.`,
    );
  }
  const pageSize = header.readUInt16BE(16) === 1 ? 65536 : header.readUInt16BE(16);
  const pageCount = header.readUInt32BE(28);
  // With a log beside it the file may be shorter than the log will make it.
  if (!hasLog(path) && sizeBytes < pageSize * pageCount) {
    throw new MachineFileError(
      'damaged',
      `The machine file ${path} is cut off: it has ${sizeBytes} bytes of ${pageSize * pageCount}. Copy it again from where it came from.`,
    );
  }
  return header.readUInt32BE(60);
}

function hasLog(path: string): boolean {
  try {
    return statSync(`${path}-wal`).size > 0;
  } catch {
    return false;
  }
}

function checkVersion(path: string, version: number): void {
  if (version > CURRENT_VERSION) {
    throw new MachineFileError(
      'newer',
      `The machine file ${path} was made by a newer Ringside (format ${version}, this one knows ${CURRENT_VERSION}). Update Ringside to open it.`,
    );
  }
  if (version < 1)
    throw new MachineFileError('damaged', `The machine file ${path} is damaged: it has no version.`);
}

/** Triggers, views or indexes that someone slipped in would run inside our own statements. */
function checkSchema(db: Database.Database, path: string, version: number): void {
  const expected = new Map(Object.entries(TABLES));
  for (const row of db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema').all()) {
    const name = textOf(row, 'name');
    const isOwnIndex =
      textOf(row, 'type') === 'index' && isNull(row, 'sql') && name.startsWith('sqlite_autoindex_');
    if (isOwnIndex && TABLES[textOf(row, 'tbl_name')] !== undefined) continue;
    if (textOf(row, 'type') !== 'table' || !expected.has(name)) {
      throw new MachineFileError(
        'damaged',
        `The machine file ${path} is refused: it holds ${name}, which does not belong in it.`,
      );
    }
    if (version === CURRENT_VERSION && textOf(row, 'sql') !== expected.get(name)) {
      throw new MachineFileError(
        'damaged',
        `The machine file ${path} is refused: its table ${name} is not as it should be.`,
      );
    }
    expected.delete(name);
  }
  const missing = [...expected.keys()];
  if (version === CURRENT_VERSION && missing.length > 0) {
    throw new MachineFileError(
      'damaged',
      `The machine file ${path} is damaged: it has no table ${missing.join(', ')}.`,
    );
  }
}

function readVersion(db: Database.Database): number {
  return integerOf(db.prepare('PRAGMA user_version').get(), 'user_version');
}

/**
 * A file that was closed is not in WAL mode and is read without a trace. One whose host was killed is, and SQLite
 * then makes files beside it; `removeTraces` takes away those that were not there before and hold nothing.
 */
function openForReading(path: string): Database.Database {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: 0 });
  db.pragma('trusted_schema = OFF');
  return db;
}

function removeTraces(path: string, hadFiles: boolean): void {
  if (hadFiles || hasLog(path)) return;
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
}

/** Checks everything with a connection that cannot write. */
function inspect(path: string, check: (file: MachineDatabase) => void): void {
  checkVersion(path, checkHeader(path));
  const hadFiles = existsSync(`${path}-wal`) || existsSync(`${path}-shm`);
  let db: Database.Database | undefined;
  try {
    db = openForReading(path);
    const version = readVersion(db);
    checkVersion(path, version);
    checkSchema(db, path, version);
    // The content of an older version is checked once it has been brought forward.
    if (version === CURRENT_VERSION) check({ path, db, isReadOnly: true, statements: new Map() });
  } catch (error) {
    throw explain(error, path);
  } finally {
    db?.close();
    removeTraces(path, hadFiles);
  }
}

/** `check` reads what must be sound and throws otherwise, before anything can change the file. */
export function openDatabase(
  path: string,
  isReadOnly: boolean,
  check: (file: MachineDatabase) => void = () => undefined,
): MachineDatabase {
  if (!existsSync(path)) throw new MachineFileError('missing', `There is no machine file at ${path}.`);
  inspect(path, check);
  let db: Database.Database | undefined;
  try {
    if (isReadOnly) {
      db = openForReading(path);
      const version = readVersion(db);
      if (version < CURRENT_VERSION) {
        throw new MachineFileError(
          'not-writable',
          `${path} is of an older format: open it for writing once to bring it forward.`,
        );
      }
    } else {
      db = new Database(path, { fileMustExist: true, timeout: 0 });
      db.pragma('trusted_schema = OFF');
      db.pragma('locking_mode = EXCLUSIVE');
      db.pragma('journal_mode = WAL');
      db.pragma('synchronous = FULL');
      // A saved machine fits into the log; its way into the file waits until closing or a quieter commit.
      db.pragma('wal_autocheckpoint = 8192');
      // The first write takes the lock, which stays until the file is closed.
      db.exec('BEGIN IMMEDIATE');
      db.exec('COMMIT');
      migrate(db, readVersion(db));
    }
    return { path, db, isReadOnly, statements: new Map() };
  } catch (error) {
    db?.close();
    throw explain(error, path);
  }
}

/** Makes a new, empty file with all tables; there must be none at `path`. */
export function createDatabase(path: string): MachineDatabase {
  if (existsSync(path)) throw new MachineFileError('exists', `There is already a file at ${path}.`);
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { timeout: 0 });
    db.pragma('page_size = 8192');
    db.pragma(`application_id = ${APPLICATION_ID}`);
    // A half-made image is thrown away, so its making needs no journal; and without one it is the same every time.
    db.pragma('journal_mode = OFF');
    db.pragma('synchronous = OFF');
    migrate(db, 0);
    return { path, db, isReadOnly: false, statements: new Map() };
  } catch (error) {
    db?.close();
    throw explain(error, path);
  }
}

/** Moves the log into the file, so that the file alone is the machine, and lets go of it. */
export function closeDatabase(file: MachineDatabase): void {
  try {
    if (!file.isReadOnly && file.db.open) file.db.pragma('journal_mode = DELETE');
  } catch (error) {
    throw explain(error, file.path);
  } finally {
    file.db.close();
  }
}
