/** What instruments share: whether their panel is seen, the span of time that they draw, and figures in that span. */
import type { DockviewPanelApi } from 'dockview-vue';
import { computed, onUnmounted, ref } from 'vue';
import type { ComputedRef, Ref } from 'vue';
import { windowOf } from '../charts/history.ts';
import { formatDuration } from '../design/format.ts';
import type { MetricName } from '../stores/metrics.ts';
import { useTelemetryStore } from '../stores/telemetry.ts';
import { useTimeCursorStore } from '../stores/time-cursor.ts';

const WINDOW_NS = 60e9;
const WATCHED_FRAMES = 720;

/** False while another tab covers the panel: what is not seen is not drawn. */
export function usePanelVisible(api: DockviewPanelApi): Ref<boolean> {
  const visible = ref(api.isVisible);
  const listener = api.onDidVisibilityChange((event) => (visible.value = event.isVisible));
  onUnmounted(() => listener.dispose());
  return visible;
}

/** Lengths that the charts take, so that they do not breathe with every frame. */
const LENGTHS_NS = [0.2e9, 0.5e9, 1e9, 2e9, 5e9, 10e9, 20e9, 30e9, 60e9];

/**
 * The virtual time of the last minute of watching, at most a minute: when the machine lags behind the host
 * a minute of its time would take an hour to fill. Around the time cursor when it stands in the past.
 */
export function useLiveWindow(share = 1): ComputedRef<{ fromNs: number; toNs: number }> {
  const telemetry = useTelemetryStore();
  const cursor = useTimeCursorStore();
  return computed(() => {
    const { history, version } = telemetry;
    const nowNs = telemetry.latest?.virtualNs ?? 0;
    const watched = version < 0 ? 0 : nowNs - (history.at[Math.max(0, history.length - WATCHED_FRAMES)] ?? 0);
    const full = LENGTHS_NS.find((length) => length >= watched) ?? WINDOW_NS;
    const short = history.length < 120 ? Math.max(full, 10e9) : full; // just opened: do not begin with a close-up
    const lengthNs = short * share;
    const toNs = cursor.atNs === null ? nowNs : Math.min(nowNs, cursor.atNs + lengthNs / 2);
    return { fromNs: toNs - lengthNs, toNs };
  });
}
export const lengthWords = (window: { fromNs: number; toNs: number }) =>
  formatDuration(window.toNs - window.fromNs);

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
