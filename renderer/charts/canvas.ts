/** A canvas that follows its element's size and the screen's pixel ratio, and draws at most once a frame. */
import { onMounted, onUnmounted, watch } from 'vue';
import type { ShallowRef, WatchSource } from 'vue';
import { palette } from '../design/palette.ts';

export interface Surface {
  readonly context: CanvasRenderingContext2D;
  /** In CSS pixels. */
  readonly width: number;
  readonly height: number;
}

/** Draws when a source, the size or the theme changes. Gives a function that asks for one more drawing. */
export function useCanvas(
  canvas: Readonly<ShallowRef<HTMLCanvasElement | null>>,
  draw: (surface: Surface) => void,
  sources: WatchSource[],
): () => void {
  let frame = 0;
  let observer: ResizeObserver | undefined;
  let seer: IntersectionObserver | undefined;
  let seen = true;

  function redraw(): void {
    frame = 0;
    const element = canvas.value;
    const context = element?.getContext('2d');
    if (element === null || context === null || context === undefined) return;
    const { clientWidth: width, clientHeight: height } = element;
    if (width === 0 || height === 0 || !seen) return;
    const ratio = window.devicePixelRatio;
    if (element.width !== Math.round(width * ratio)) element.width = Math.round(width * ratio);
    if (element.height !== Math.round(height * ratio)) element.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `11px ${getComputedStyle(element).fontFamily}`;
    context.textBaseline = 'middle';
    draw({ context, width, height });
  }
  const request = () => {
    if (frame === 0) frame = requestAnimationFrame(redraw);
  };

  function observe(element: HTMLCanvasElement | null): void {
    observer?.disconnect();
    seer?.disconnect();
    if (element !== null) {
      observer?.observe(element);
      seer?.observe(element);
    }
    request();
  }
  onMounted(() => {
    observer = new ResizeObserver(request);
    seer = new IntersectionObserver((entries) => {
      seen = entries.at(-1)?.isIntersecting ?? true;
      if (seen) request();
    });
    watch(canvas, observe, { immediate: true, flush: 'post' }); // it may come and go with v-if
  });
  onUnmounted(() => {
    observer?.disconnect();
    seer?.disconnect();
    cancelAnimationFrame(frame);
  });
  watch([palette, ...sources], request);
  return request;
}
