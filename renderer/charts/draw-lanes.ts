/**
 * Draws what CPUs ran: a row for each CPU, a bar for each slice in its task's colour, with the name where it
 * fits. Slices narrower than a pixel are gathered into columns whose height is the share of the pixel's
 * time that was not idle, so a million switches look like the load that they are.
 */
import type { Palette } from '../design/palette.ts';
import { taskColour } from '../design/palette.ts';
import type { Surface } from './canvas.ts';
import { firstEndingAfter, xOf } from './time-view.ts';
import type { TimeView } from './time-view.ts';

export interface LaneView {
  readonly cpu: number;
  readonly startNs: ArrayLike<number>;
  readonly endNs: ArrayLike<number>;
  readonly tid: ArrayLike<number>;
  /** Where the columns begin to count. */
  readonly first?: number;
  /** How many slices an entry stands for, and how much of it was not idle. */
  readonly merged?: ArrayLike<number>;
  readonly busyNs?: ArrayLike<number>;
  /** Who runs now, drawn until the view's end. */
  readonly open?: { readonly tid: number; readonly sinceNs: number } | null;
}

export const LANE_HEIGHT = 26;
export const LANE_GAP = 6;
const BAR = LANE_HEIGHT - 4;

export interface LaneOptions {
  readonly lanes: readonly LaneView[];
  readonly view: TimeView;
  readonly palette: Palette;
  readonly left: number;
  readonly top: number;
  readonly selectedTid: number | null;
  readonly matches: ReadonlySet<number> | null;
  nameOf(tid: number): string;
}

export function lanesHeight(count: number): number {
  return count * (LANE_HEIGHT + LANE_GAP);
}

export function drawLanes(surface: Surface, options: LaneOptions): void {
  const { context, width } = surface;
  const { palette, left, top } = options;
  options.lanes.forEach((lane, row) => {
    const y = top + row * (LANE_HEIGHT + LANE_GAP);
    context.fillStyle = palette.colour['text-soft'];
    context.textAlign = 'left';
    context.fillText(`CPU ${lane.cpu}`, 0, y + LANE_HEIGHT / 2);
    context.fillStyle = palette.colour['cpu-idle'];
    context.globalAlpha = 0.45;
    context.fillRect(left, y + 2, width - left, BAR);
    context.globalAlpha = 1;
    context.save();
    context.beginPath();
    context.rect(left, y, width - left, LANE_HEIGHT);
    context.clip();
    context.translate(left, 0);
    drawLane(context, lane, y + 2, width - left, options);
    context.restore();
  });
}

function drawLane(
  context: CanvasRenderingContext2D,
  lane: LaneView,
  y: number,
  width: number,
  options: LaneOptions,
): void {
  const { view, palette } = options;
  const busy = new Float32Array(Math.ceil(width) + 1);
  const holder = new Int32Array(busy.length);
  const nsPerPixel = (view.toNs - view.fromNs) / width;
  let narrow = false;
  for (
    let index = firstEndingAfter(lane.endNs, view.fromNs, lane.first ?? 0);
    index < lane.endNs.length;
    index++
  ) {
    const startNs = lane.startNs[index] ?? 0;
    if (startNs >= view.toNs) break;
    const tid = lane.tid[index] ?? 0;
    const endNs = lane.endNs[index] ?? 0;
    const x = xOf(view, width, startNs);
    const w = (endNs - startNs) / nsPerPixel;
    if (w >= 1.5 && (lane.merged?.[index] ?? 1) === 1) {
      if (tid !== 0) drawSlice(context, tid, Math.max(0, x), y, Math.min(width, x + w), options);
      continue;
    }
    const busyNs = lane.busyNs?.[index] ?? (tid === 0 ? 0 : endNs - startNs);
    narrow = gather(busy, holder, x, w, busyNs / nsPerPixel, tid) || narrow;
  }
  if (lane.open != null) {
    const x = Math.max(0, xOf(view, width, lane.open.sinceNs));
    if (x < width) drawSlice(context, lane.open.tid, x, y, width, options);
  }
  if (narrow) drawColumns(context, busy, holder, y, palette, options);
}

/** Spreads the busy part of a narrow or merged entry over the pixels that it covers. */
function gather(
  busy: Float32Array,
  holder: Int32Array,
  x: number,
  w: number,
  busyPixels: number,
  tid: number,
): boolean {
  const first = Math.max(0, Math.floor(x));
  const last = Math.min(busy.length - 1, Math.floor(x + Math.max(w, 0.001)));
  const share = busyPixels / Math.max(w, 1e-9);
  for (let pixel = first; pixel <= last; pixel++) {
    const covered = Math.min(pixel + 1, x + w) - Math.max(pixel, x);
    const amount = Math.max(0, covered) * share;
    busy[pixel] = Math.min(1, (busy[pixel] ?? 0) + amount);
    if (tid !== 0) holder[pixel] = tid;
  }
  return true;
}

function drawColumns(
  context: CanvasRenderingContext2D,
  busy: Float32Array,
  holder: Int32Array,
  y: number,
  palette: Palette,
  options: LaneOptions,
): void {
  for (let pixel = 0; pixel < busy.length; pixel++) {
    const share = busy[pixel] ?? 0;
    if (share <= 0) continue;
    const height = Math.max(1, share * BAR);
    const tid = holder[pixel] ?? 0;
    context.globalAlpha = isDimmed(tid, options) ? 0.25 : 1;
    context.fillStyle = taskColour(tid, palette.dark);
    context.fillRect(pixel, y + BAR - height, 1, height);
  }
  context.globalAlpha = 1;
}

function isDimmed(tid: number, options: LaneOptions): boolean {
  if (options.matches !== null) return !options.matches.has(tid);
  return options.selectedTid !== null && options.selectedTid !== tid;
}

function drawSlice(
  context: CanvasRenderingContext2D,
  tid: number,
  x: number,
  y: number,
  end: number,
  options: LaneOptions,
): void {
  const width = end - x;
  context.globalAlpha = isDimmed(tid, options) ? 0.25 : 1;
  context.fillStyle = taskColour(tid, options.palette.dark);
  context.fillRect(x, y, Math.max(1, width - (width > 4 ? 0.5 : 0)), BAR);
  if (width > 34) {
    const name = options.nameOf(tid);
    context.fillStyle = options.palette.dark ? '#10151b' : '#ffffff';
    const text =
      context.measureText(name).width + 10 < width ? name : name.slice(0, Math.floor((width - 10) / 7));
    context.textAlign = 'left';
    context.fillText(text, x + 5, y + BAR / 2);
  }
  context.globalAlpha = 1;
}

/** The entry of a lane under an instant. */
export function sliceAt(lane: LaneView, ns: number): number | undefined {
  const index = firstEndingAfter(lane.endNs, ns, lane.first ?? 0);
  return index < lane.endNs.length && (lane.startNs[index] ?? Infinity) <= ns ? index : undefined;
}
