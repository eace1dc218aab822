/**
 * Puts the files of a guest disk together: what the packages hold, moved to the merged /usr of Debian 12
 * (/bin, /sbin, /lib and /lib64 are links), without documentation; then what the recipe adds, which wins.
 */
import { lstatSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Entry } from '../mkfs/entries.ts';
import { appletPath, appletsOf } from './busybox.ts';
import { makeLdSoCache } from './ld-so-cache.ts';
import type { Recipe } from './recipe.ts';
import { accountsOf } from './users.ts';

const MERGED = ['bin', 'sbin', 'lib', 'lib64'];

function merged(path: string): string {
  const first = path.split('/')[1] ?? '';
  return MERGED.includes(first) ? `/usr${path}` : path;
}

function isBelow(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path === folder || path.startsWith(`${folder}/`));
}

/** The recipe's folder of files, as paths in the guest. */
function filesBelow(folder: string, guestFolder = ''): { guest: string; host: string }[] {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const host = join(folder, name);
      const guest = `${guestFolder}/${name}`;
      return lstatSync(host).isDirectory() ? filesBelow(host, guest) : [{ guest, host }];
    });
}

/** Everything that a recipe takes from the project's own files; a change of any of it makes another image. */
export function ownFiles(recipe: Recipe): { guest: string; content: Uint8Array }[] {
  const copies = Object.entries(recipe.copies).map(([guest, host]) => ({ guest, host }));
  return [...filesBelow(recipe.filesFolder), ...copies].map(({ guest, host }) => ({
    guest,
    content: readFileSync(host),
  }));
}

export function assemble(recipe: Recipe, packages: readonly (readonly Entry[])[]): Entry[] {
  const tree = new Map<string, Entry>();
  const mtimeSeconds = recipe.timeSeconds;
  const ownerOf = (path: string) => recipe.users.find((user) => user.uid !== 0 && isBelow(path, [user.home]));
  const attributes = (path: string, mode: number) => {
    const special = recipe.permissions[path];
    const owner = ownerOf(path);
    return {
      path,
      mtimeSeconds,
      mode: special?.mode ?? mode,
      uid: special?.uid ?? owner?.uid ?? 0,
      gid: special?.gid ?? owner?.gid ?? 0,
    };
  };
  const addFile = (path: string, content: Uint8Array, mode = 0o644) =>
    tree.set(path, { ...attributes(path, mode), type: 'file', content });
  const addLink = (path: string, target: string) =>
    tree.set(path, { ...attributes(path, 0o777), type: 'symlink', target });
  const addDirectory = (path: string) => tree.set(path, { ...attributes(path, 0o755), type: 'directory' });

  for (const entry of packages.flat()) {
    const path = merged(entry.path);
    if (isBelow(path, recipe.leaveOut)) continue;
    if (entry.type === 'directory' && tree.has(path)) continue;
    if (entry.type === 'hardlink') tree.set(path, { ...entry, path, target: merged(entry.target) });
    else tree.set(path, { ...entry, path });
  }
  for (const name of MERGED) {
    tree.delete(`/${name}`);
    tree.set(`/${name}`, { ...attributes(`/${name}`, 0o777), type: 'symlink', target: `usr/${name}` });
  }

  const contentOf = (path: string): Uint8Array => {
    const entry = tree.get(path);
    if (entry?.type !== 'file')
      throw new Error(`The packages of the image ${recipe.name} have no file ${path}.`);
    return entry.content;
  };
  for (const applet of appletsOf(contentOf('/usr/bin/busybox'))) {
    const path = appletPath(applet);
    if (path === undefined || tree.has(path)) continue;
    addLink(path, path.startsWith('/usr/sbin/') ? '../bin/busybox' : 'busybox');
  }

  for (const path of recipe.directories) addDirectory(path);
  for (const user of recipe.users) addDirectory(user.home);
  for (const [path, target] of Object.entries(recipe.links)) addLink(path, target);
  for (const { guest, content } of ownFiles(recipe)) {
    const isScript = content[0] === 0x23 && content[1] === 0x21; // #!
    addFile(guest, content, isScript ? 0o755 : 0o644);
  }
  for (const path of foldersOf([...tree.keys()])) if (!tree.has(path)) addDirectory(path);

  const master = (name: string) =>
    new TextDecoder().decode(contentOf(`/usr/share/base-passwd/${name}.master`));
  const accounts = accountsOf(master('passwd'), master('group'), recipe.users);
  addFile('/etc/passwd', Buffer.from(accounts.passwd));
  addFile('/etc/group', Buffer.from(accounts.group));
  addFile('/etc/shadow', Buffer.from(accounts.shadow), 0o640);
  addFile('/etc/ld.so.cache', makeLdSoCache([...tree.values()]));
  return [...tree.values()];
}

function foldersOf(paths: readonly string[]): Set<string> {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let at = path.indexOf('/', 1); at > 0; at = path.indexOf('/', at + 1))
      folders.add(path.slice(0, at));
  }
  return folders;
}
