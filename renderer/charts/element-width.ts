/** An element's width in CSS pixels, kept up to date. */
import { onMounted, onUnmounted, ref } from 'vue';
import type { Ref, ShallowRef } from 'vue';

export function useElementWidth(element: Readonly<ShallowRef<HTMLElement | null>>): Ref<number> {
  const width = ref(300);
  let observer: ResizeObserver | undefined;
  onMounted(() => {
    observer = new ResizeObserver(() => {
      const now = element.value?.clientWidth ?? 0;
      if (now > 0) width.value = now;
    });
    if (element.value !== null) observer.observe(element.value);
  });
  onUnmounted(() => observer?.disconnect());
  return width;
}
