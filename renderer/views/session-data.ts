/**
 * What a session view shows of its session: the description once, and for each view of time the columns that
 * the worker aggregated for it. One request is under way at a time; the newest view wins. What is there
 * is drawn at once, stretched, until the finer columns arrive.
 */
import { computed, onUnmounted, ref, shallowRef, watch } from 'vue';
import type {
  LaneColumns,
  SeriesColumns,
  SessionDetails,
  SessionSums,
} from '../../electron/protocol/reports.ts';
import { clampView, fetchRange, serves } from '../charts/time-view.ts';
import type { TimeView } from '../charts/time-view.ts';
import { protocol } from '../protocol-client.ts';
import { useLogStore } from '../stores/log.ts';
import { firstChoice } from './session-charts.ts';

const PIXELS_A_SCREEN = 1600;

export function useSessionData(machine: string, session: string) {
  const log = useLogStore();
  const details = shallowRef<SessionDetails | null>(null);
  const failed = ref('');
  const view = shallowRef<TimeView>({ fromNs: 0, toNs: 1 });
  const chosen = ref<string[]>([]);
  const series = shallowRef<SeriesColumns[]>([]);
  const lanes = shallowRef<LaneColumns[]>([]);
  const reading = ref(false);
  const sums = shallowRef<SessionSums | null>(null);
  let fetched: TimeView | null = null;
  let fetchedNames = '';
  let gone = false;

  const limits = computed<TimeView>(() => {
    const about = details.value?.about;
    return { fromNs: about?.startNs ?? 0, toNs: Math.max((about?.startNs ?? 0) + 1000, about?.endNs ?? 1) };
  });

  async function describe(): Promise<void> {
    failed.value = '';
    try {
      const answer = await protocol.request('sessions.describe', { machine, session });
      details.value = answer.session;
      view.value = limits.value;
      if (chosen.value.length === 0) chosen.value = firstChoice(answer.session.series);
    } catch (error) {
      failed.value = error instanceof Error ? error.message : String(error);
    }
  }

  async function read(): Promise<void> {
    const names = chosen.value.join('\n');
    if (details.value === null || reading.value || gone) return;
    if (serves(fetched, view.value) && names === fetchedNames) return;
    reading.value = true;
    const range = fetchRange(view.value, limits.value);
    const screens = Math.max(1, (range.toNs - range.fromNs) / (view.value.toNs - view.value.fromNs));
    const answer = await log.attempt('Reading the session', () =>
      protocol.request('sessions.read', {
        machine,
        session,
        ...range,
        pixels: Math.ceil(PIXELS_A_SCREEN * screens),
        series: [...chosen.value],
        lanes: true,
      }),
    );
    reading.value = false;
    fetched = range;
    fetchedNames = names;
    if (answer === undefined) return; // said; the next move asks again
    series.value = answer.series;
    lanes.value = answer.lanes;
    void read(); // the view may have moved on meanwhile
  }
  watch([view, chosen, details], () => void read(), { deep: 1 });

  async function sumUp(span: TimeView): Promise<void> {
    const answer = await log.attempt('Summing up', () =>
      protocol.request('sessions.sums', { machine, session, ...span }),
    );
    if (answer !== undefined) sums.value = answer.sums;
  }
  function setView(next: TimeView): void {
    view.value = clampView(next, limits.value);
  }
  onUnmounted(() => (gone = true));
  return { details, failed, view, limits, chosen, series, lanes, reading, sums, describe, setView, sumUp };
}
