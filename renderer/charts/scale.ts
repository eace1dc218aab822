/** Scales and ticks: which instants and values get a label, and where a value lies on a line of pixels. */

/** 1, 2 or 5 times a power of ten, at least `least`. */
export function niceStep(least: number): number {
  if (!(least > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  const rest = (least / power) * (1 - 1e-9); // 0.6 / 3 is a little more than 0.2
  const factor = rest <= 1 ? 1 : rest <= 2 ? 2 : rest <= 5 ? 5 : 10;
  return factor * power;
}

/** 1, 2, 4 … 512 times a power of 1024: for bytes. */
export function niceByteStep(least: number): number {
  return least <= 1 ? 1 : 2 ** Math.ceil(Math.log2(least));
}

export function ticks(
  from: number,
  to: number,
  most: number,
  step = niceStep((to - from) / Math.max(1, most)),
): number[] {
  const result: number[] = [];
  for (let index = Math.ceil(from / step - 1e-9); index * step <= to + step * 1e-9; index++)
    result.push(index * step + 0); // never -0, which would be written as such
  return result;
}

/** The largest value of a scale that shows `most`: the next nice value above, never 0, so that nothing jumps. */
export function niceTop(most: number, least: number, bytes = false): number {
  const top = Math.max(most, least);
  const step = bytes ? niceByteStep(top / 4) : niceStep(top / 4);
  return Math.ceil(top / step - 1e-9) * step;
}

/** How many decimals an instant in seconds needs so that neighbouring ticks differ. */
export function decimalsOf(step: number): number {
  return Math.max(0, Math.min(9, -Math.floor(Math.log10(step) + 1e-9)));
}

/** The part of a log2 histogram that has counts, with one empty bucket around, and its median and 99th percentile. */
export function summarise(buckets: readonly number[]): {
  first: number;
  last: number;
  total: number;
  p50: number;
  p99: number;
} {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  const first = buckets.findIndex((count) => count > 0);
  const last = buckets.findLastIndex((count) => count > 0);
  return { first, last, total, p50: quantile(buckets, total, 0.5), p99: quantile(buckets, total, 0.99) };
}

/** Within the bucket the values are taken as evenly spread. */
function quantile(buckets: readonly number[], total: number, share: number): number {
  if (total === 0) return Number.NaN;
  let below = 0;
  for (const [index, count] of buckets.entries()) {
    if (count > 0 && below + count >= share * total)
      return 2 ** index * (1 + (share * total - below) / count);
    below += count;
  }
  return Number.NaN;
}

/** A histogram's growth since an earlier frame. */
export function difference(now: readonly number[], before: readonly number[] | undefined): number[] {
  return now.map((count, index) => Math.max(0, count - (before?.[index] ?? 0)));
}
