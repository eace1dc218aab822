/**
 * A history of figures: one column of instants and one column for each name, appended to for hours and
 * bounded. Columns are contiguous, so a window of them is a view without a copy: when the memory is full,
 * the newer half moves to the front.
 */
export interface History {
  readonly capacity: number;
  length: number;
  readonly at: Float64Array;
  readonly columns: Map<string, Float64Array>;
}

export function newHistory(names: readonly string[], capacity: number): History {
  const columns = new Map(names.map((name) => [name, new Float64Array(capacity * 2)]));
  return { capacity, length: 0, at: new Float64Array(capacity * 2), columns };
}

export function clearHistory(history: History): void {
  history.length = 0;
}

/** Instants must grow; an earlier one means that the machine went back, and forgets what came before. */
export function append(history: History, at: number, values: ReadonlyMap<string, number>): void {
  const last = history.length > 0 ? history.at[history.length - 1] : undefined;
  if (last !== undefined && at === last) return;
  if (last !== undefined && at < last) clearHistory(history);
  if (history.length === history.capacity * 2) {
    const from = history.length - history.capacity;
    history.at.copyWithin(0, from);
    for (const column of history.columns.values()) column.copyWithin(0, from);
    history.length = history.capacity;
  }
  history.at[history.length] = at;
  for (const [name, column] of history.columns) column[history.length] = values.get(name) ?? Number.NaN;
  history.length++;
}

/** The first index whose instant is not before `at`. */
export function indexAt(history: History, at: number): number {
  let low = 0;
  let high = history.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((history.at[middle] ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Views of the columns between two instants, with one point more on the left so that lines enter the picture. */
export function windowOf(
  history: History,
  from: number,
  to: number,
  names: readonly string[],
): Float64Array[] {
  const start = Math.max(0, indexAt(history, from) - 1);
  const end = Math.min(history.length, indexAt(history, to) + 1);
  const none = new Float64Array(0);
  return [
    history.at.subarray(start, end),
    ...names.map((name) => history.columns.get(name)?.subarray(start, end) ?? none),
  ];
}

/** The value at an instant: that of the last point not after it. */
export function valueAt(history: History, name: string, at: number): number {
  const index = Math.min(history.length - 1, indexAt(history, at + 1) - 1);
  return history.columns.get(name)?.[Math.max(0, index)] ?? Number.NaN;
}
