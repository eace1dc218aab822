// Root, working directory and umask of a task (Linux's fs_struct), shared with CLONE_FS.
import type { Path } from './path.ts';

export interface FsContext {
  users: number;
  root: Path;
  cwd: Path;
  umask: number;
}
