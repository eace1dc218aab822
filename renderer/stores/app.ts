/** The lab itself: its version and shell, theme, side panel, the user's keys. */
import { defineStore } from 'pinia';
import { computed, ref, shallowRef, watch } from 'vue';
import type { AnswerOf } from '../../electron/protocol/requests.ts';
import { applyTheme } from '../design/palette.ts';
import { protocol } from '../protocol-client.ts';
import { useSettingsStore } from './settings.ts';

export type SideView = 'machines' | 'files' | 'processes' | 'sessions' | 'snapshots';
const SIDE_VIEWS: readonly SideView[] = ['machines', 'files', 'processes', 'sessions', 'snapshots'];

export const useAppStore = defineStore('app', () => {
  const settings = useSettingsStore();
  const info = shallowRef<AnswerOf<'app.info'> | null>(null);
  const loaded = ref(false);
  const theme = ref<'light' | 'dark' | 'system'>('system');
  const sideView = ref<SideView>('files');
  const sideOpen = ref(true);
  const sideWidth = ref(240);
  const lastMachine = ref<string | null>(null);
  const keys = ref<Record<string, string>>({});
  /** Of editor and terminals, in pixels. */
  const fontSize = ref(13);
  const screenReader = ref(false);
  const dialog = ref<'palette' | 'files' | 'help' | null>(null);
  const nowMs = ref(Date.now());
  setInterval(() => (nowMs.value = Date.now()), 1000);

  const systemDark = matchMedia('(prefers-color-scheme: dark)');
  const systemTheme = ref<'light' | 'dark'>(systemDark.matches ? 'dark' : 'light');
  systemDark.addEventListener('change', (event) => (systemTheme.value = event.matches ? 'dark' : 'light'));
  const shownTheme = computed(() => (theme.value === 'system' ? systemTheme.value : theme.value));
  watch(shownTheme, (value) => applyTheme(value), { immediate: true });

  async function load(): Promise<void> {
    info.value = await protocol.request('app.info', {});
    if (loaded.value) return;
    const stored = await settings.load('app');
    if (typeof stored === 'object' && stored !== null) restore({ ...stored });
    loaded.value = true;
    watch([theme, sideView, sideOpen, sideWidth, lastMachine, keys, fontSize, screenReader], save, {
      deep: true,
    });
  }

  function restore(stored: Record<string, unknown>): void {
    const {
      theme: storedTheme,
      sideView: view,
      sideOpen: open,
      sideWidth: width,
      lastMachine: last,
      keys: own,
      fontSize: size,
      screenReader: reader,
    } = stored;
    if (storedTheme === 'light' || storedTheme === 'dark') theme.value = storedTheme;
    const known = SIDE_VIEWS.find((name) => name === view);
    if (known !== undefined) sideView.value = known;
    if (typeof open === 'boolean') sideOpen.value = open;
    if (typeof width === 'number') sideWidth.value = Math.min(600, Math.max(160, width));
    if (typeof last === 'string') lastMachine.value = last;
    if (typeof size === 'number') fontSize.value = Math.min(28, Math.max(9, size));
    screenReader.value = reader === true;
    if (typeof own === 'object' && own !== null) {
      keys.value = Object.fromEntries(Object.entries(own).filter((entry) => typeof entry[1] === 'string'));
    }
  }

  function save(): void {
    settings.save('app', {
      theme: theme.value,
      sideView: sideView.value,
      sideOpen: sideOpen.value,
      sideWidth: sideWidth.value,
      lastMachine: lastMachine.value,
      keys: keys.value,
      fontSize: fontSize.value,
      screenReader: screenReader.value,
    });
  }

  function toggleTheme(): void {
    theme.value = shownTheme.value === 'dark' ? 'light' : 'dark';
  }
  function showSide(view: SideView): void {
    sideOpen.value = !(sideOpen.value && sideView.value === view);
    sideView.value = view;
  }

  return {
    info,
    loaded,
    theme,
    shownTheme,
    sideView,
    sideOpen,
    sideWidth,
    lastMachine,
    keys,
    fontSize,
    screenReader,
    dialog,
    nowMs,
    load,
    toggleTheme,
    showSide,
  };
});
