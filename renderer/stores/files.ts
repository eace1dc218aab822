/** The guest's file tree as far as it was opened. Directories are listed when they are unfolded. */
import { defineStore } from 'pinia';
import { computed, ref, shallowRef, watch } from 'vue';
import type { FileInfo } from '../../electron/protocol/reports.ts';
import { download } from '../design/download.ts';
import { protocol } from '../protocol-client.ts';
import { useLogStore } from './log.ts';
import { useMachineStore } from './machine.ts';

export interface FileRow {
  path: string;
  depth: number;
  info: FileInfo;
  expanded: boolean;
  loading: boolean;
}

export function joinPath(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}
export function directoryOf(path: string): string {
  const end = path.lastIndexOf('/');
  return end <= 0 ? '/' : path.slice(0, end);
}
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export const useFilesStore = defineStore('files', () => {
  const machine = useMachineStore();
  const log = useLogStore();
  const listings = shallowRef(new Map<string, FileInfo[]>());
  const expanded = ref(new Set<string>());
  const loading = ref(new Set<string>());
  const selected = ref<string | null>(null);
  /** Where the tree begins: people work in a home directory, and the root is one click up. */
  const root = ref('/');
  let stop: (() => void) | null = null;

  async function list(directory: string): Promise<void> {
    const current = machine.current;
    if (current === null) return;
    loading.value.add(directory);
    const answer = await log.attempt(`Listing ${directory}`, () =>
      protocol.request('files.list', { machine: current, path: directory }),
    );
    loading.value.delete(directory);
    if (machine.current !== current) return;
    const next = new Map(listings.value);
    if (answer === undefined) next.delete(directory);
    else next.set(directory, answer.entries.sort(byKindAndName));
    listings.value = next;
  }

  function byKindAndName(a: FileInfo, b: FileInfo): number {
    if (a.opensAsDirectory !== b.opensAsDirectory) return a.opensAsDirectory ? -1 : 1;
    return a.name.localeCompare(b.name, 'en', { numeric: true });
  }

  async function toggle(path: string): Promise<void> {
    if (expanded.value.delete(path)) return;
    expanded.value.add(path);
    if (!listings.value.has(path)) await list(path);
  }
  async function reveal(path: string): Promise<void> {
    for (let at = directoryOf(path); ; at = directoryOf(at)) {
      if (!expanded.value.has(at) && at !== root.value) await toggle(at);
      if (!listings.value.has(at)) await list(at);
      if (at === root.value || at === '/') break;
    }
    selected.value = path;
  }
  const refresh = () => Promise.all([root.value, ...expanded.value].map(list));

  const rows = computed<FileRow[]>(() => {
    const result: FileRow[] = [];
    const walk = (directory: string, depth: number) => {
      for (const info of listings.value.get(directory) ?? []) {
        const path = joinPath(directory, info.name);
        const open = expanded.value.has(path);
        result.push({ path, depth, info, expanded: open, loading: loading.value.has(path) });
        if (open) walk(path, depth + 1);
      }
    };
    walk(root.value, 0);
    return result;
  });

  watch(
    () => [machine.current, machine.generation] as const,
    ([current], before) => {
      stop?.();
      stop = null;
      if (current === null || before?.[0] !== current) {
        listings.value = new Map();
        expanded.value = new Set();
        selected.value = null;
      }
      if (current === null) return;
      stop = protocol.subscribe('files.changed', current, ({ directory }) => {
        if (listings.value.has(directory)) void list(directory);
      });
      void start();
    },
    { immediate: true },
  );

  /** A machine that is still booting may have no disk yet: the tree fills once it runs. */
  async function start(): Promise<void> {
    await list(root.value);
    for (const path of ['/home', '/home/student']) {
      const parent = listings.value.get(directoryOf(path));
      if (parent?.some((entry) => entry.name === nameOf(path)) && !expanded.value.has(path))
        await toggle(path);
    }
  }
  watch(
    () => machine.status,
    (status, before) => {
      if (status === 'running' && (before === 'booting' || before === 'off')) void start();
    },
  );

  async function change(
    doing: string,
    directory: string,
    action: (machine: string) => Promise<unknown>,
  ): Promise<boolean> {
    const current = machine.current;
    if (current === null) return false;
    const done = await log.attempt(doing, async () => {
      await action(current);
      return true;
    });
    await list(directory);
    return done === true;
  }
  const createFile = (path: string) =>
    change(`Creating ${nameOf(path)}`, directoryOf(path), (current) =>
      protocol.request('files.write', { machine: current, path, bytes: new Uint8Array(0), mode: 0o644 }),
    );
  const createFolder = (path: string) =>
    change(`Creating ${nameOf(path)}`, directoryOf(path), (current) =>
      protocol.request('files.mkdir', { machine: current, path }),
    );
  const rename = (from: string, to: string) =>
    change(`Renaming ${nameOf(from)}`, directoryOf(to), (current) =>
      protocol.request('files.rename', { machine: current, from, to }),
    );
  const remove = (path: string) =>
    change(`Deleting ${nameOf(path)}`, directoryOf(path), (current) =>
      protocol.request('files.remove', { machine: current, path }),
    );

  async function upload(directory: string, files: readonly File[]): Promise<void> {
    for (const file of files) {
      const path = joinPath(directory, file.name);
      await change(`Copying ${file.name}`, directory, async (current) => {
        const bytes = new Uint8Array(await file.arrayBuffer());
        await protocol.request('files.write', { machine: current, path, bytes });
      });
    }
    if (files.length > 0)
      log.notify(
        'good',
        `${files.length === 1 ? (files[0]?.name ?? '') : `${files.length} files`} copied to ${directory}.`,
      );
  }
  async function fetch(path: string): Promise<void> {
    const current = machine.current;
    if (current === null) return;
    await log.attempt(`Copying ${nameOf(path)}`, async () => {
      const { bytes } = await protocol.request('files.read', { machine: current, path });
      download(nameOf(path), bytes, 'application/octet-stream');
    });
  }

  return {
    rows,
    listings,
    loading,
    expanded,
    selected,
    root,
    list,
    toggle,
    reveal,
    refresh,
    createFile,
    createFolder,
    rename,
    remove,
    upload,
    fetch,
  };
});
