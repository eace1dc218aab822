// Root, working directory and umask of a task (Linux's fs_struct), shared with CLONE_FS.
import type { Kernel } from '../../state.ts';
import { getPath, putPath, type Path } from './path.ts';

export interface FsContext {
  users: number;
  root: Path;
  cwd: Path;
  umask: number;
}

export function newFsContext(kernel: Kernel, root: Path): FsContext {
  return { users: 1, root: getPath(kernel, root), cwd: getPath(kernel, root), umask: 0o022 };
}

export function copyFsContext(kernel: Kernel, context: FsContext): FsContext {
  return {
    users: 1,
    root: getPath(kernel, context.root),
    cwd: getPath(kernel, context.cwd),
    umask: context.umask,
  };
}

export function putFsContext(kernel: Kernel, context: FsContext): void {
  if (--context.users > 0) return;
  putPath(kernel, context.root);
  putPath(kernel, context.cwd);
}

export function setWorkingDirectory(kernel: Kernel, context: FsContext, path: Path): void {
  const old = context.cwd;
  context.cwd = getPath(kernel, path);
  putPath(kernel, old);
}

export function setRoot(kernel: Kernel, context: FsContext, path: Path): void {
  const old = context.root;
  context.root = getPath(kernel, path);
  putPath(kernel, old);
}
