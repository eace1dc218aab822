// A place in the tree: a mount and a dentry in it. A record that outlives a call counts both (getPath/putPath).
import { assert } from '../../lib/assert.ts';
import type { Kernel } from '../../state.ts';
import { getDentry, putDentry, type Dentry } from './dentry.ts';
import type { Mount } from './mount-state.ts';

export interface Path {
  readonly mount: number; // id in kernel.vfs.mounts
  readonly dentry: Dentry;
}

export function mountOf(kernel: Kernel, path: Path): Mount {
  const mount = kernel.vfs.mounts.get(path.mount);
  assert(mount !== undefined, 'a path in use names a mount that exists');
  return mount;
}

export function getPath(kernel: Kernel, path: Path): Path {
  getDentry(path.dentry);
  const mount = kernel.vfs.mounts.get(path.mount);
  if (mount !== undefined) mount.users++;
  return path;
}

export function putPath(kernel: Kernel, path: Path): void {
  const mount = kernel.vfs.mounts.get(path.mount);
  if (mount !== undefined) mount.users--;
  putDentry(kernel, path.dentry);
}

/** The path as seen from `root`, as getcwd(2) and /proc show it; undefined when it lies outside. */
export function pathText(kernel: Kernel, path: Path, root: Path): string | undefined {
  const names: string[] = [];
  let { mount, dentry } = path;
  for (;;) {
    if (dentry === root.dentry && mount === root.mount) break;
    const current = kernel.vfs.mounts.get(mount);
    if (current === undefined) break; // detached with MNT_DETACH
    if (dentry === current.root) {
      if (current.parent === current.id) {
        if (root.mount !== kernel.vfs.rootMount || root.dentry !== current.root) return undefined;
        break;
      }
      dentry = current.mountpoint;
      mount = current.parent;
      continue;
    }
    names.push(dentry.name);
    if (dentry.parent === null) break;
    dentry = dentry.parent;
  }
  return `/${names.reverse().join('/')}${path.dentry.unlinked ? ' (deleted)' : ''}`;
}
