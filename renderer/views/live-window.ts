/** What instruments share: whether their panel is seen, the span of time that they draw, and figures in that span. */
import type { DockviewPanelApi } from 'dockview-vue';
import { computed, onUnmounted, ref } from 'vue';
import type { ComputedRef, Ref } from 'vue';
import { windowOf } from '../charts/history.ts';
import type { MetricName } from '../stores/metrics.ts';
import { useTelemetryStore } from '../stores/telemetry.ts';
import { useTimeCursorStore } from '../stores/time-cursor.ts';

const WINDOW_NS = 60e9;

/** False while another tab covers the panel: what is not seen is not drawn. */
export function usePanelVisible(api: DockviewPanelApi): Ref<boolean> {
  const visible = ref(api.isVisible);
  const listener = api.onDidVisibilityChange((event) => (visible.value = event.isVisible));
  onUnmounted(() => listener.dispose());
  return visible;
}

/** The last minute; around the time cursor when it stands in the past. */
export function useLiveWindow(lengthNs = WINDOW_NS): ComputedRef<{ fromNs: number; toNs: number }> {
  const telemetry = useTelemetryStore();
  const cursor = useTimeCursorStore();
  return computed(() => {
    const nowNs = telemetry.latest?.virtualNs ?? 0;
    const toNs = cursor.atNs === null ? nowNs : Math.min(nowNs, cursor.atNs + lengthNs / 2);
    return { fromNs: toNs - lengthNs, toNs };
  });
}

/** Columns for a SeriesChart: instants, then one column a name. */
export function useSeries(
  window: ComputedRef<{ fromNs: number; toNs: number }>,
  names: readonly MetricName[],
) {
  const telemetry = useTelemetryStore();
  return computed(() => {
    if (telemetry.version < 0) return []; // the history itself is not reactive, its version is
    return windowOf(telemetry.history, window.value.fromNs, window.value.toNs, names);
  });
}
