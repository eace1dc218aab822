/**
 * The docked panels: which exist, where new ones go, the three presets, and their restoration. The dock
 * itself (dockview) keeps sizes and order; its JSON is kept per machine.
 */
import { defineStore } from 'pinia';
import type { DockviewApi, IDockviewPanel, SerializedDockview } from 'dockview-vue';
import { ref, shallowRef } from 'vue';
import { useEditorStore } from './editor.ts';
import { nameOf } from './files.ts';
import { useMachineStore } from './machine.ts';
import { useSettingsStore } from './settings.ts';
import { useTerminalsStore } from './terminals.ts';

export const instruments = {
  cpu: 'CPU and scheduler',
  memory: 'Memory and caches',
  swap: 'Swap',
  disk: 'Disk',
  processes: 'Processes',
  system: 'System calls and interrupts',
} as const;
export type InstrumentName = keyof typeof instruments;
const titles: Readonly<Record<string, string>> = {
  ...instruments,
  problems: 'Problems',
  output: 'Output',
  task: 'Task',
};
export type Preset = 'write' | 'watch' | 'analyse';
type Area = 'editor' | 'bottom' | 'side';
type Place = Parameters<DockviewApi['addPanel']>[0]['position'];

const areaOf = (id: string): Area => {
  const kind = id.split(':')[0] ?? '';
  if (kind === 'editor' || kind === 'session' || kind === 'welcome') return 'editor';
  return kind === 'terminal' || kind === 'problems' || kind === 'output' ? 'bottom' : 'side';
};

export const useWorkbenchStore = defineStore('workbench', () => {
  const machine = useMachineStore();
  const editor = useEditorStore();
  const terminals = useTerminalsStore();
  const settings = useSettingsStore();
  const dock = shallowRef<DockviewApi | null>(null);
  const preset = ref<Preset>('write');
  const selectedTask = ref<number | null>(null);
  const activePanel = ref<string | null>(null);
  let rebuilding = false;

  const layoutKey = () => `layout:${machine.current ?? ''}`;

  async function attach(api: DockviewApi): Promise<void> {
    dock.value = api;
    rebuilding = true;
    const stored = await settings.load(layoutKey()).catch(() => undefined);
    if (!restore(api, stored)) usePreset('write');
    rebuilding = false;
    api.onDidLayoutChange(() => remember(api));
    api.onDidActivePanelChange(() => noticeActive(api));
    api.onDidRemovePanel((panel) => panelClosed(panel.id));
    noticeActive(api);
  }
  function detach(): void {
    dock.value = null;
    activePanel.value = null;
  }

  function restore(api: DockviewApi, stored: unknown): boolean {
    if (typeof stored !== 'object' || stored === null || !('dock' in stored)) return false;
    try {
      api.fromJSON(stored.dock as SerializedDockview); // dockview checks it and throws
      if ('preset' in stored && (stored.preset === 'watch' || stored.preset === 'analyse'))
        preset.value = stored.preset;
      return api.panels.length > 0;
    } catch {
      api.clear();
      return false;
    }
  }
  function remember(api: DockviewApi): void {
    if (rebuilding || dock.value !== api || machine.current === null) return;
    settings.save(layoutKey(), { preset: preset.value, dock: api.toJSON() });
  }
  function noticeActive(api: DockviewApi): void {
    const id = api.activePanel?.id ?? null;
    activePanel.value = id;
    if (id?.startsWith('editor:') === true) editor.active = id.slice('editor:'.length);
  }
  function panelClosed(id: string): void {
    if (rebuilding || dock.value === null) return;
    const [kind, rest] = split(id);
    if (kind === 'editor') editor.close(rest);
    else if (kind === 'terminal') void terminals.close(rest);
  }
  function split(id: string): [string, string] {
    const colon = id.indexOf(':');
    return colon < 0 ? [id, ''] : [id.slice(0, colon), id.slice(colon + 1)];
  }

  function show(id: string, title?: string, position?: Place): IDockviewPanel | undefined {
    const api = dock.value;
    if (api === null) return undefined;
    const known = api.getPanel(id);
    if (known !== undefined) {
      known.api.setActive();
      return known;
    }
    const [kind, rest] = split(id);
    const place = position ?? placeFor(api, areaOf(id), id);
    return api.addPanel({
      id,
      component: kind,
      title: title ?? titles[kind] ?? nameOf(rest),
      params: { subject: rest },
      renderer: kind === 'terminal' || kind === 'editor' ? 'always' : 'onlyWhenVisible',
      ...(place === undefined ? {} : { position: place }),
    });
  }

  /** Into the group that already has panels of this area, else beside what there is. */
  function placeFor(api: DockviewApi, area: Area, id: string): Place {
    // the inspector must not cover the picture whose task was clicked
    if (id === 'task' && api.getPanel('processes') !== undefined) return { referencePanel: 'processes' };
    const like = api.panels.find((panel) => areaOf(panel.id) === area);
    if (like !== undefined) return { referencePanel: like.id };
    const other = api.panels[0];
    if (other === undefined) return undefined;
    const editors = api.panels.find((panel) => areaOf(panel.id) === 'editor') ?? other;
    if (area === 'bottom') return { referencePanel: editors.id, direction: 'below' };
    if (area === 'side') return { direction: 'right' };
    return { referencePanel: other.id, direction: areaOf(other.id) === 'bottom' ? 'above' : 'left' };
  }

  const openFile = (path: string) => show(`editor:${path}`, nameOf(path));
  const openTerminal = (terminal: string, title = terminal) => show(`terminal:${terminal}`, title);
  const openSession = (session: string, title: string) => show(`session:${session}`, title);
  function inspect(tid: number): void {
    selectedTask.value = tid;
    show('task');
  }

  /** Rebuilds the dock; open files, terminals and sessions stay open. */
  function usePreset(next: Preset): void {
    const api = dock.value;
    if (api === null) return;
    const before = rebuilding;
    rebuilding = true;
    const open = api.panels.map((panel) => ({ id: panel.id, title: panel.title ?? panel.id }));
    api.clear();
    preset.value = next;
    if (next === 'write') buildWrite(open);
    else if (next === 'watch') buildWatch(open);
    else buildAnalyse(open);
    rebuilding = before;
    remember(api);
    noticeActive(api);
  }

  type Open = { id: string; title: string }[];
  const ofKind = (open: Open, kind: string) => open.filter((panel) => panel.id.startsWith(`${kind}:`));
  function size(id: string, dimensions: { width?: number; height?: number }): void {
    dock.value?.getPanel(id)?.api.group.api.setSize(dimensions);
  }
  function addTerminals(open: Open, position: Place): void {
    show('terminal:tty1', 'tty1', position);
    for (const panel of ofKind(open, 'terminal'))
      show(panel.id, panel.title, { referencePanel: 'terminal:tty1' });
    show('problems', 'Problems', { referencePanel: 'terminal:tty1' });
    show('output', 'Output', { referencePanel: 'terminal:tty1' });
    dock.value?.getPanel('terminal:tty1')?.api.setActive();
  }
  function addEditors(open: Open): void {
    show('welcome', 'Start');
    for (const panel of [...ofKind(open, 'editor'), ...ofKind(open, 'session')]) {
      show(panel.id, panel.title, { referencePanel: 'welcome' });
    }
  }
  const width = () => dock.value?.width ?? 1000;
  const height = () => dock.value?.height ?? 600;

  function buildWrite(open: Open): void {
    addEditors(open);
    show('cpu', undefined, { referencePanel: 'welcome', direction: 'right' });
    show('memory', undefined, { referencePanel: 'cpu' });
    show('swap', undefined, { referencePanel: 'cpu' });
    show('disk', undefined, { referencePanel: 'cpu' });
    show('system', undefined, { referencePanel: 'cpu' });
    show('processes', undefined, { referencePanel: 'cpu', direction: 'below' });
    addTerminals(open, { referencePanel: 'welcome', direction: 'below' });
    dock.value?.getPanel('cpu')?.api.setActive();
    size('cpu', { width: Math.max(360, Math.round(width() * 0.38)) });
    size('processes', { height: Math.round(height() * 0.4) });
    size('terminal:tty1', { height: Math.round(height() * 0.42) });
    (
      dock.value?.getPanel(open.findLast((panel) => panel.id.startsWith('editor:'))?.id ?? '') ??
      dock.value?.getPanel('welcome')
    )?.api.setActive();
  }

  function buildWatch(open: Open): void {
    show('cpu');
    show('memory', undefined, { referencePanel: 'cpu', direction: 'right' });
    show('disk', undefined, { referencePanel: 'cpu', direction: 'below' });
    show('swap', undefined, { referencePanel: 'memory', direction: 'below' });
    show('processes', undefined, { direction: 'right' });
    show('system', undefined, { referencePanel: 'processes' });
    addTerminals(open, { referencePanel: 'processes', direction: 'below' });
    for (const panel of [...ofKind(open, 'editor'), ...ofKind(open, 'session')]) {
      show(panel.id, panel.title, { referencePanel: 'terminal:tty1' });
    }
    dock.value?.getPanel('processes')?.api.setActive();
    dock.value?.getPanel('terminal:tty1')?.api.setActive();
    size('processes', { width: Math.round(width() * 0.34) });
    size('terminal:tty1', { height: Math.round(height() * 0.4) });
  }

  function buildAnalyse(open: Open): void {
    const sessions = ofKind(open, 'session');
    const first = sessions[0];
    if (first === undefined) addEditors(open);
    else {
      for (const panel of sessions) show(panel.id, panel.title);
      for (const panel of ofKind(open, 'editor')) show(panel.id, panel.title, { referencePanel: first.id });
      show('welcome', 'Start', { referencePanel: first.id });
      dock.value?.getPanel(first.id)?.api.setActive();
    }
    addTerminals(open, { direction: 'below' });
    size('terminal:tty1', { height: Math.round(height() * 0.22) });
  }

  /** Moves the focus to the next or previous group of panels. */
  function focusGroup(step: 1 | -1): void {
    const api = dock.value;
    if (api === null || api.groups.length === 0) return;
    const index = api.groups.findIndex((group) => group === api.activeGroup);
    const next = api.groups[(index + step + api.groups.length) % api.groups.length];
    next?.activePanel?.api.setActive();
    const content = next?.element.querySelector<HTMLElement>('.dv-content-container');
    content?.querySelector<HTMLElement>('textarea, [tabindex="0"], button, input')?.focus();
  }
  const nextTab = () => dock.value?.activateNext({ includePanel: true });
  const previousTab = () => dock.value?.activatePrevious({ includePanel: true });
  function toggleMaximize(): void {
    const panel = dock.value?.activePanel;
    if (panel === undefined) return;
    if (panel.api.isMaximized()) panel.api.exitMaximized();
    else panel.api.maximize();
  }
  function closePanel(id: string): void {
    dock.value?.getPanel(id)?.api.close();
  }

  return {
    dock,
    preset,
    selectedTask,
    activePanel,
    attach,
    detach,
    show,
    openFile,
    openTerminal,
    openSession,
    inspect,
    usePreset,
    focusGroup,
    nextTab,
    previousTab,
    toggleMaximize,
    closePanel,
  };
});
