/** The instant that all instruments show: live (null), or one that the user chose; and the span that is selected. */
import { defineStore } from 'pinia';
import { computed, ref } from 'vue';

export const useTimeCursorStore = defineStore('time-cursor', () => {
  const atNs = ref<number | null>(null);
  const span = ref<{ fromNs: number; toNs: number } | null>(null);
  const isLive = computed(() => atNs.value === null);
  function goTo(instant: number): void {
    atNs.value = Math.max(0, instant);
  }
  function goLive(): void {
    atNs.value = null;
    span.value = null;
  }
  function select(fromNs: number, toNs: number): void {
    span.value = fromNs === toNs ? null : { fromNs: Math.min(fromNs, toNs), toNs: Math.max(fromNs, toNs) };
  }
  return { atNs, span, isLive, goTo, goLive, select };
});
