/** What can be wrong with a machine file, in words that the user can act on. */

export type Reason =
  | 'missing'
  | 'exists'
  | 'not-a-machine'
  | 'newer'
  | 'damaged'
  | 'busy'
  | 'disk-full'
  | 'not-writable'
  | 'invalid'
  | 'unknown-name';

export class MachineFileError extends Error {
  readonly reason: Reason;
  constructor(reason: Reason, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = 'MachineFileError';
    this.reason = reason;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Says what an error of SQLite or of the host means for the machine file at `path`. */
export function explain(error: unknown, path: string): Error {
  if (error instanceof MachineFileError) return error;
  const code = codeOf(error);
  const text = error instanceof Error ? error.message : String(error);
  if (code === 'SQLITE_FULL' || code === 'ENOSPC' || /no space left|disk is full/i.test(text)) {
    return new MachineFileError(
      'disk-full',
      `The host's disk is full, so ${path} could not be written. Nothing is lost: free some space and try again.`,
      error,
    );
  }
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new MachineFileError(
      'busy',
      `The machine ${path} is already open, here or in another process.`,
      error,
    );
  }
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return new MachineFileError('damaged', `The machine file ${path} is damaged (${text}).`, error);
  }
  if (code.startsWith('SQLITE_IOERR')) {
    return new MachineFileError('damaged', `The host could not read or write ${path} (${text}).`, error);
  }
  if (
    code.startsWith('SQLITE_READONLY') ||
    code.startsWith('SQLITE_PERM') ||
    code === 'EACCES' ||
    code === 'EROFS'
  ) {
    return new MachineFileError('not-writable', `The machine file ${path} may not be written.`, error);
  }
  if (code.startsWith('SQLITE_CANTOPEN') || code === 'ENOENT') {
    return new MachineFileError(
      'missing',
      `There is no machine file at ${path}, or it may not be read.`,
      error,
    );
  }
  return error instanceof Error ? error : new Error(text);
}

/** For what a file holds and may not: a damaged or a made-up file looks the same from here. */
export function damaged(what: string): MachineFileError {
  return new MachineFileError('damaged', `The machine file is damaged: ${what}.`);
}
