// Control flow of a region: reverse postorder, immediate dominators (Cooper, Harvey and Kennedy), loop headers and merge
// points, from which function.ts writes structured code (Ramsey's translation along the dominator tree). The root is the
// dispatcher, which goes to any of the entries. The target of a back edge that does not dominate its source (irreducible
// control flow) becomes an entry as well: such an edge goes through the dispatcher and is no edge of the graph.

import type { Region } from './region.ts';

export interface FlowNode {
  readonly at: number;
  readonly order: number; // in reverse postorder
  /** Edges that stay in the structured code. */
  readonly successors: ReadonlySet<number>;
  dominator: number;
  /** Blocks that it dominates immediately, in reverse postorder. */
  readonly children: number[];
  isLoopHeader: boolean;
  /** Reached by more than one forward edge. */
  isMerge: boolean;
  /** An entry to which nothing in the region goes. */
  readonly isOnlyEntered: boolean;
  /** Header of the innermost loop that holds it; undefined outside loops. */
  loop: number | undefined;
}
export type FlowGraph = ReadonlyMap<number, FlowNode>;

/** The dispatcher's place in the graph: no block lies there. */
export const DISPATCHER = Number.MIN_SAFE_INTEGER;

type Successors = (at: number) => readonly number[];

function reversePostorder(region: Region, successorsOf: Successors): number[] {
  const order: number[] = [];
  const seen = new Set<number>([DISPATCHER]);
  const stack: { at: number; next: number }[] = [{ at: DISPATCHER, next: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const successors = successorsOf(top.at);
    const to = successors[top.next++];
    if (to === undefined) {
      order.push(top.at);
      stack.pop();
    } else if (!seen.has(to) && region.blocks.has(to)) {
      seen.add(to);
      stack.push({ at: to, next: 0 });
    }
  }
  return order.reverse();
}

/** The graph, and all entries: those that are given, and the targets of irreducible edges. */
export function flowGraph(region: Region): { graph: FlowGraph; entries: readonly number[] } {
  const entries = [...region.entries];
  for (;;) {
    const { graph, irreducible } = graphWith(region, entries);
    if (irreducible.length === 0) return { graph, entries };
    entries.push(...irreducible);
  }
}

function graphWith(region: Region, entries: readonly number[]): { graph: FlowGraph; irreducible: number[] } {
  const successorsOf: Successors = (at) =>
    at === DISPATCHER ? entries : (region.blocks.get(at)?.successors ?? []);
  const order = reversePostorder(region, successorsOf);
  const number = new Map(order.map((at, i) => [at, i]));
  const predecessors: number[][] = order.map(() => []);
  order.forEach((at, i) => {
    for (const to of successorsOf(at)) {
      const target = number.get(to);
      if (target !== undefined) predecessors[target]?.push(i);
    }
  });
  const dominators = order.map(() => -1);
  dominators[0] = 0;
  const common = (first: number, second: number): number => {
    let [a, b] = [first, second];
    while (a !== b) {
      while (a > b) a = dominators[a] ?? 0;
      while (b > a) b = dominators[b] ?? 0;
    }
    return a;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (let i = 1; i < order.length; i++) {
      let best = -1;
      for (const from of predecessors[i] ?? [])
        if (dominators[from] !== -1) best = best === -1 ? from : common(best, from);
      if (best !== dominators[i]) {
        dominators[i] = best;
        changed = true;
      }
    }
  }
  const dominates = (a: number, b: number): boolean => {
    let at = b;
    while (at > a) at = dominators[at] ?? 0;
    return at === a;
  };
  const irreducible = new Set<number>();
  const nodes = order.map((at, i): FlowNode => {
    const successors = new Set<number>();
    for (const to of successorsOf(at)) {
      const target = number.get(to);
      if (target === undefined) continue;
      if (target > i || dominates(target, i)) successors.add(to);
      else if (!entries.includes(to)) irreducible.add(to);
    }
    const dominator = order[dominators[i] ?? 0] ?? DISPATCHER;
    return {
      at,
      order: i,
      successors,
      dominator,
      children: [],
      isLoopHeader: false,
      isMerge: false,
      isOnlyEntered: (predecessors[i] ?? []).every((from) => from === 0),
      loop: undefined,
    };
  });
  const graph = new Map(nodes.map((node) => [node.at, node]));
  const forward = order.map(() => 0);
  for (const node of nodes) {
    if (node.order > 0) graph.get(node.dominator)?.children.push(node.at);
    for (const to of node.successors) {
      const target = graph.get(to);
      if (target === undefined) continue;
      if (target.order <= node.order) target.isLoopHeader = true;
      else forward[target.order] = (forward[target.order] ?? 0) + 1;
    }
  }
  // The table of a computed jump needs labels for its targets
  const switches = order.filter(
    (at) => region.blocks.get(at)?.instructions.at(-1)?.entry.instruction.mnemonic === 'jmp',
  );
  const cases = new Set(switches.flatMap((at) => region.blocks.get(at)?.cases ?? []));
  for (const at of entries) cases.add(at);
  for (const node of nodes)
    node.isMerge = (forward[node.order] ?? 0) > 1 || (cases.has(node.at) && (forward[node.order] ?? 0) > 0);
  findLoops(nodes, graph, order, predecessors);
  return { graph, irreducible: [...irreducible] };
}

/** Marks the blocks of each natural loop, inner loops last: later headers lie deeper. */
function findLoops(nodes: readonly FlowNode[], graph: FlowGraph, order: readonly number[], predecessors: readonly number[][]): void {
  for (const header of nodes) {
    if (!header.isLoopHeader) continue;
    const body = new Set<number>([header.order]);
    const queue = (predecessors[header.order] ?? []).filter(
      (from) => from >= header.order && nodes[from]?.successors.has(header.at) === true,
    );
    for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
      if (body.has(at)) continue;
      body.add(at);
      for (const from of predecessors[at] ?? []) if (from > header.order) queue.push(from);
    }
    for (const member of body) {
      const node = graph.get(order[member] ?? 0);
      if (node !== undefined) node.loop = header.at;
    }
  }
} // prettier-ignore
