/** Columns on top of each other, the sum of all first: drawn in this order, each fill covers the one below it. */
export function stack(columns: readonly Float64Array[]): Float64Array[] {
  const sums: Float64Array[] = [];
  let below: Float64Array | undefined;
  for (const column of [...columns].reverse()) {
    const under: Float64Array | undefined = below;
    const sum: Float64Array =
      under === undefined ? column : column.map((value, index) => value + (under[index] ?? 0));
    sums.unshift(sum);
    below = sum;
  }
  return sums;
}
