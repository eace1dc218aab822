/**
 * The span of time that a timeline shows, and how W A S D, the wheel and drags change it. Pure: a view goes
 * in, the next one comes out, always inside the limits and never narrower than a microsecond.
 */
export interface TimeView {
  readonly fromNs: number;
  readonly toNs: number;
}

const NARROWEST_NS = 1000;

/** Moves and shrinks the view so that it lies inside the limits. */
export function clampView(view: TimeView, limits: TimeView): TimeView {
  const whole = Math.max(NARROWEST_NS, limits.toNs - limits.fromNs);
  const width = Math.min(whole, Math.max(NARROWEST_NS, view.toNs - view.fromNs));
  const fromNs = Math.min(Math.max(view.fromNs, limits.fromNs), limits.fromNs + whole - width);
  return { fromNs, toNs: fromNs + width };
}

/** Below 1 zooms in. The instant stays under the pointer. */
export function zoomAt(view: TimeView, limits: TimeView, atNs: number, factor: number): TimeView {
  const width = Math.max(NARROWEST_NS, (view.toNs - view.fromNs) * factor);
  const share = (atNs - view.fromNs) / (view.toNs - view.fromNs);
  const fromNs = atNs - width * share;
  return clampView({ fromNs, toNs: fromNs + width }, limits);
}

export function panBy(view: TimeView, limits: TimeView, deltaNs: number): TimeView {
  return clampView({ fromNs: view.fromNs + deltaNs, toNs: view.toNs + deltaNs }, limits);
}

export function xOf(view: TimeView, widthPx: number, atNs: number): number {
  return ((atNs - view.fromNs) / (view.toNs - view.fromNs)) * widthPx;
}
export function instantAt(view: TimeView, widthPx: number, x: number): number {
  return view.fromNs + (x / widthPx) * (view.toNs - view.fromNs);
}

/** What to ask the worker for: the view with half a width more on either side, so that small moves need no answer. */
export function fetchRange(view: TimeView, limits: TimeView): TimeView {
  const width = view.toNs - view.fromNs;
  return {
    fromNs: Math.max(limits.fromNs, view.fromNs - width / 2),
    toNs: Math.min(limits.toNs, view.toNs + width / 2),
  };
}

/** Whether what was fetched still serves the view: it covers it, and is at most twice too coarse. */
export function serves(fetched: TimeView | null, view: TimeView): boolean {
  if (fetched === null || view.fromNs < fetched.fromNs || view.toNs > fetched.toNs) return false;
  return fetched.toNs - fetched.fromNs <= 4 * (view.toNs - view.fromNs);
}

/** First index whose end is after `ns`, in a column of ends that grows. */
export function firstEndingAfter(endNs: ArrayLike<number>, ns: number, from = 0): number {
  let low = from;
  let high = endNs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((endNs[middle] ?? 0) <= ns) low = middle + 1;
    else high = middle;
  }
  return low;
}
