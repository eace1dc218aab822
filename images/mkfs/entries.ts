/**
 * What goes into a file system: a flat list of entries, and the tree made from it.
 * Parents that the list does not name are created as root's directories with mode 0755.
 * The tree keeps names sorted by bytes, so that the same entries give the same disk in any order.
 */

interface Attributes {
  /** Absolute, '/'-separated, without '.' and '..'. The root itself is '/'. */
  readonly path: string;
  /** Permission bits, 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
}

export type Entry =
  | (Attributes & { readonly type: 'file'; readonly content: Uint8Array })
  | (Attributes & { readonly type: 'directory' })
  | (Attributes & { readonly type: 'symlink'; readonly target: string })
  | (Attributes & { readonly type: 'character' | 'block'; readonly major: number; readonly minor: number })
  | (Attributes & { readonly type: 'fifo' })
  /** Another name of a file that the same list holds. */
  | { readonly type: 'hardlink'; readonly path: string; readonly target: string };

export type InodeEntry = Exclude<Entry, { type: 'hardlink' }>;

export interface Node {
  readonly entry: InodeEntry;
  /** Only of a directory: its names, sorted by bytes. */
  readonly children: Map<string, Node>;
  links: number;
}

const encoder = new TextEncoder();
const MAX_NAME_BYTES = 255;

export function compareBytes(a: string, b: string): number {
  return Buffer.compare(encoder.encode(a), encoder.encode(b));
}

function parts(path: string): string[] {
  if (!path.startsWith('/')) throw new Error(`The path ${path} is not absolute.`);
  const names = path.split('/').filter((name) => name !== '');
  for (const name of names) {
    if (name === '.' || name === '..') throw new Error(`The path ${path} has '.' or '..' in it.`);
    if (encoder.encode(name).length > MAX_NAME_BYTES) throw new Error(`A name in ${path} is too long.`);
  }
  return names;
}

function newNode(entry: InodeEntry): Node {
  return { entry, children: new Map(), links: 1 };
}

function directoryAt(root: Node, names: readonly string[], mtimeSeconds: number): Node {
  let node = root;
  let path = '';
  for (const name of names) {
    path += `/${name}`;
    let child = node.children.get(name);
    if (child === undefined) {
      child = newNode({ type: 'directory', path, mode: 0o755, uid: 0, gid: 0, mtimeSeconds });
      node.children.set(name, child);
    }
    if (child.entry.type !== 'directory') throw new Error(`${path} is not a directory, but has files in it.`);
    node = child;
  }
  return node;
}

function nodeAt(root: Node, path: string): Node | undefined {
  let node: Node | undefined = root;
  for (const name of parts(path)) node = node?.children.get(name);
  return node;
}

/** Builds the tree. Two entries of one path are an error; a later hard link finds any file of the list. */
export function treeOf(entries: readonly Entry[], mtimeSeconds: number): Node {
  const rootEntry = entries.find((entry) => entry.path === '/');
  if (rootEntry !== undefined && rootEntry.type !== 'directory') throw new Error('/ must be a directory.');
  const root = newNode(
    rootEntry ?? { type: 'directory', path: '/', mode: 0o755, uid: 0, gid: 0, mtimeSeconds },
  );

  // Shorter paths first, so that a directory's own entry comes before what lies in it.
  const sorted = entries
    .filter((entry) => entry.path !== '/')
    .map((entry) => ({ entry, names: parts(entry.path) }))
    .sort((a, b) => a.names.length - b.names.length || compareBytes(a.entry.path, b.entry.path));
  for (const pass of ['inodes', 'links']) {
    for (const { entry, names } of sorted) {
      if ((entry.type === 'hardlink') !== (pass === 'links')) continue;
      const name = names.at(-1);
      if (name === undefined) throw new Error('An entry has no name.');
      const parent = directoryAt(root, names.slice(0, -1), mtimeSeconds);
      if (parent.children.has(name)) throw new Error(`${entry.path} is in the list twice.`);
      if (entry.type !== 'hardlink') {
        parent.children.set(name, newNode(entry));
        continue;
      }
      const target = nodeAt(root, entry.target);
      if (target === undefined || target.entry.type === 'directory') {
        throw new Error(`${entry.path} is a hard link to ${entry.target}, which is not a file.`);
      }
      target.links++;
      parent.children.set(name, target);
    }
  }
  sortChildren(root);
  return root;
}

function sortChildren(node: Node): void {
  if (node.entry.type !== 'directory') return;
  const sorted = [...node.children].sort(([a], [b]) => compareBytes(a, b));
  node.children.clear();
  for (const [name, child] of sorted) {
    node.children.set(name, child);
    sortChildren(child);
  }
}
