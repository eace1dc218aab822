/** What a DataTable shows: columns that know how to write and to order a row. */
export interface Column<Row> {
  readonly key: string;
  readonly title: string;
  /** For the header's tooltip: what the figure is. */
  readonly about?: string;
  /** Pixels; the column without a width takes the rest. */
  readonly width?: number;
  readonly numeric?: boolean;
  readonly mono?: boolean;
  /** For order and CSV. */
  value(row: Row): string | number;
  /** As written on screen; `value` as it is when missing. */
  text?(row: Row): string;
}

export interface Order {
  readonly key: string;
  readonly descending: boolean;
}

export function sortRows<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  order: Order | null,
): Row[] {
  const column = columns.find((candidate) => candidate.key === order?.key);
  if (column === undefined || order === null) return [...rows];
  const sign = order.descending ? -1 : 1;
  return [...rows].sort((a, b) => sign * compare(column.value(a), column.value(b)));
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') {
    if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : -1;
    return Number.isNaN(b) ? 1 : a - b;
  }
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}
