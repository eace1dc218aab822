// The files of /proc and /sys, as declared by the other files of this folder. A path may have variable parts, written
// {pid}: who lists and checks their names is in `variables`. The tree of declarations is made when the folder is loaded
// and never changes; what an inode keeps is only the declared path and the names that its variable parts have.
import type { Failure } from '../abi/errno.ts';
import type { Path } from '../fs/vfs/path.ts';
import { assert } from '../lib/assert.ts';
import type { Task, Tid } from '../sched/task.ts';
import type { Kernel } from '../state.ts';

/** What a file shows: for which task, asked by whom, with which names in its variable parts. */
export interface Subject {
  /** The task of {pid}/{tid}; where a path has none, the reader. */
  readonly task: Task;
  readonly reader: Task;
  /** Names of the variable parts, in order. */
  readonly names: readonly string[];
}

export type Show = (kernel: Kernel, subject: Subject) => string | Uint8Array | Failure;
/** Takes what was written in one write(2), a text of one char per byte; 0 or a Failure. */
export type Write = (kernel: Kernel, subject: Subject, text: string) => number | Failure;
export type Link = (kernel: Kernel, subject: Subject) => string | Failure;
export type Follow = (kernel: Kernel, subject: Subject) => Path | null | Failure;

export interface Node {
  /** The declared path: '/proc/{pid}/stat'. */
  readonly path: string;
  readonly name: string;
  kind: 'directory' | 'file' | 'symlink';
  mode: number;
  show: Show | null;
  write: Write | null;
  link: Link | null;
  follow: Follow | null;
  /** Whether the entry is there at all for this subject. */
  exists: ((kernel: Kernel, names: readonly string[]) => boolean) | null;
  /** Only those who may trace the task may open or follow it (ptrace(2), access mode checks). */
  guarded: boolean;
  readonly children: Map<string, Node>;
  /** Name of the variable part below this directory, with its braces. */
  variable: string;
}

/** Lists and checks the names of a variable part. `names` are those of the parts before it. */
export interface Variable {
  /** In the order in which a directory shows them. */
  list(kernel: Kernel, names: readonly string[]): readonly string[];
  has(kernel: Kernel, names: readonly string[], name: string): boolean;
}

export const variables: Record<string, Variable> = {};

/** Every declared path. */
export const nodes: Map<string, Node> = new Map();

function newNode(path: string, name: string): Node {
  const node: Node = {
    path, name, kind: 'directory', mode: 0o555, show: null, write: null, link: null, follow: null, exists: null,
    guarded: false, children: new Map(), variable: '',
  }; // prettier-ignore
  nodes.set(path, node);
  return node;
}

/** The node of a path, made with its parents when it is new. */
function nodeAt(path: string): Node {
  const known = nodes.get(path);
  if (known !== undefined) return known;
  const slash = path.lastIndexOf('/');
  const name = path.slice(slash + 1);
  const node = newNode(path, name);
  if (slash === 0) return node; // '/proc' and '/sys' are roots
  const parent = nodeAt(path.slice(0, slash));
  if (name.startsWith('{')) {
    assert(parent.variable === '' || parent.variable === name, 'a directory has one variable part');
    parent.variable = name;
  }
  parent.children.set(name, node);
  return node;
}

/** Declares a file. Without `write`, writing gives EIO as for any file that cannot take it. */
export function procFile(path: string, mode: number, show: Show | null, write: Write | null = null): Node {
  return Object.assign(nodeAt(path), { kind: 'file', mode, show, write } as const);
}

/** Declares a symbolic link; `follow` makes it a magic one that leads to a place without a walk. */
export function procLink(path: string, link: Link, follow: Follow | null = null): Node {
  return Object.assign(nodeAt(path), { kind: 'symlink', mode: 0o777, link, follow } as const);
}

/** Declares a directory whose mode is not 0555, or that must be there without files. */
export function procDirectory(path: string, mode = 0o555): Node {
  return Object.assign(nodeAt(path), { mode });
}

/** Declares the same file for a process and for each of its threads. */
export function taskFile(
  name: string,
  mode: number,
  show: Show,
  write: Write | null = null,
): readonly Node[] {
  return TASK_DIRECTORIES.map((directory) => procFile(`${directory}/${name}`, mode, show, write));
}

export const TASK_DIRECTORIES = ['/proc/{pid}', '/proc/{pid}/task/{tid}'] as const;

export function guard(declared: readonly Node[]): void {
  for (const node of declared) node.guarded = true;
}

/** The declared child of a directory that a name means. */
export function childOf(
  kernel: Kernel,
  node: Node,
  names: readonly string[],
  name: string,
): { node: Node; names: readonly string[] } | null {
  const child = node.children.get(name);
  if (child !== undefined && !name.startsWith('{')) {
    return child.exists?.(kernel, names) === false ? null : { node: child, names };
  }
  if (node.variable === '') return null;
  const under = node.children.get(node.variable);
  if (under === undefined || variables[node.variable]?.has(kernel, names, name) !== true) return null;
  return { node: under, names: [...names, name] };
}

/** The tid that a path's variable parts name: the innermost of {pid} and {tid}; 0 for none. */
export function tidOf(node: Node, names: readonly string[]): Tid {
  if (!node.path.startsWith('/proc/{pid}')) return 0;
  return Number(node.path.startsWith('/proc/{pid}/task/{tid}') ? names[1] : names[0]);
}
