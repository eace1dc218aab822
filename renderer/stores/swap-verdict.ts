/** What the swap figures mean, in words. Thrashing is when pages that were just put out come back while everybody waits. */
export interface SwapFigures {
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly inPerSecond: number;
  readonly outPerSecond: number;
  readonly refaultsPerSecond: number;
  readonly directPerSecond: number;
  /** PSI: percent of the last 10 s in which every task waited for memory. */
  readonly memoryFull10: number;
}

export function swapVerdict(figures: SwapFigures): { text: string; tone: 'normal' | 'warn' | 'bad' } {
  const { inPerSecond, outPerSecond } = figures;
  if (figures.usedBytes === 0 && inPerSecond + outPerSecond < 1)
    return { text: 'swap: unused', tone: 'normal' };
  const traffic = `${Math.round(inPerSecond)} pages/s in, ${Math.round(outPerSecond)} out`;
  const both = Math.min(inPerSecond, outPerSecond);
  if (both >= 50 && (figures.memoryFull10 >= 20 || figures.refaultsPerSecond >= 0.5 * outPerSecond)) {
    return { text: `swap: ${traffic}, thrashing: what goes out is needed again at once`, tone: 'bad' };
  }
  if (figures.totalBytes > 0 && figures.usedBytes >= 0.95 * figures.totalBytes) {
    return { text: `swap: ${traffic}, nearly full: the next step is the OOM killer`, tone: 'bad' };
  }
  if (outPerSecond >= 1 && inPerSecond >= 1) return { text: `swap: ${traffic}, both ways`, tone: 'warn' };
  if (outPerSecond >= 1) return { text: `swap: ${traffic}, memory is being made free`, tone: 'warn' };
  if (inPerSecond >= 1)
    return { text: `swap: ${traffic}, pages come back as they are needed`, tone: 'normal' };
  return { text: 'swap: in use, quiet', tone: 'normal' };
}
