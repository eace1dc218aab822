// The descriptor table (Linux's files_struct), shared with CLONE_FILES.
import type { OpenFile } from './open-file.ts';

export interface FileTable {
  users: number;
  /** Sparse by descriptor. */
  open: (OpenFile | null)[];
  /** FD_CLOEXEC by descriptor. */
  closeOnExec: boolean[];
}
