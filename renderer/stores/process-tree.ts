/** Tasks as a tree: children under their parent, in order of pid; threads under their process. */
import type { TaskFrame } from '../../electron/protocol/frames.ts';

export interface TreeRow<T> {
  readonly task: T;
  readonly depth: number;
}

export function treeOf<T extends Pick<TaskFrame, 'tid' | 'pid' | 'parent'>>(
  tasks: readonly T[],
): TreeRow<T>[] {
  const children = new Map<number, T[]>();
  const known = new Set(tasks.map((task) => task.tid));
  const roots: T[] = [];
  for (const task of tasks) {
    const above = task.tid === task.pid ? task.parent : task.pid;
    if (above === task.tid || !known.has(above)) roots.push(task);
    else children.set(above, [...(children.get(above) ?? []), task]);
  }
  const rows: TreeRow<T>[] = [];
  const byTid = (a: T, b: T) => a.tid - b.tid;
  // an explicit stack: a chain of thousands of forks must not overflow ours
  const stack = roots
    .sort(byTid)
    .reverse()
    .map((task) => ({ task, depth: 0 }));
  for (let row = stack.pop(); row !== undefined; row = stack.pop()) {
    rows.push(row);
    const { depth } = row;
    for (const task of (children.get(row.task.tid) ?? []).sort(byTid).reverse())
      stack.push({ task, depth: depth + 1 });
    children.delete(row.task.tid);
  }
  return rows;
}
