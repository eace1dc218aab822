/** Machine files and base images, as the shell lists them, and the image that is being built. */
import { defineStore } from 'pinia';
import { ref, shallowRef } from 'vue';
import type { Image, LibraryMachine, MachineSettings, Progress } from '../../electron/protocol/reports.ts';
import { protocol } from '../protocol-client.ts';
import { useLogStore } from './log.ts';

export const useLibraryStore = defineStore('library', () => {
  const log = useLogStore();
  const machines = shallowRef<LibraryMachine[]>([]);
  const images = shallowRef<Image[]>([]);
  const folder = ref('');
  const loaded = ref(false);
  /** Progress of an image's build, by the image's name. */
  const building = ref<Record<string, Progress>>({});
  const cancels = new Map<string, AbortController>();

  async function refresh(): Promise<void> {
    const [library, list] = await Promise.all([
      protocol.request('library.list', {}),
      protocol.request('image.list', {}),
    ]);
    machines.value = library.machines;
    folder.value = library.folder;
    images.value = list.images;
    loaded.value = true;
  }
  function follow(): void {
    protocol.subscribe('library.changed', '', () => void log.attempt('Listing the library', refresh));
  }

  /** Builds the image if it is missing; false when that failed or was cancelled. */
  async function ensureImage(name: string): Promise<boolean> {
    if (images.value.find((image) => image.name === name)?.state === 'ready') return true;
    const controller = new AbortController();
    cancels.set(name, controller);
    building.value = { ...building.value, [name]: { step: 'Starting', share: null, remainingMs: null } };
    const built = await log.attempt(`Building the image "${name}"`, () =>
      protocol.request(
        'image.build',
        { name },
        {
          signal: controller.signal,
          onProgress: (progress) => (building.value = { ...building.value, [name]: progress }),
        },
      ),
    );
    const { [name]: _done, ...others } = building.value;
    building.value = others;
    cancels.delete(name);
    await log.attempt('Listing the library', refresh);
    return built !== undefined;
  }
  function cancelBuild(name: string): void {
    cancels.get(name)?.abort();
  }

  async function create(settings: MachineSettings): Promise<string | undefined> {
    if (!(await ensureImage(settings.image))) return undefined;
    const created = await log.attempt(`Creating "${settings.name}"`, () =>
      protocol.request('library.create', { settings }),
    );
    await refresh();
    return created?.machine;
  }
  const change = (doing: string, action: () => Promise<unknown>) =>
    log.attempt(doing, async () => {
      await action();
      await refresh();
    });
  const rename = (machine: string, name: string) =>
    change('Renaming', () => protocol.request('library.rename', { machine, name }));
  const duplicate = (machine: string, name: string) =>
    change('Duplicating', () => protocol.request('library.duplicate', { machine, name }));
  const remove = (machine: string) =>
    change('Deleting', () => protocol.request('library.delete', { machine }));
  const importFile = (name: string, bytes: Uint8Array) =>
    change(`Importing ${name}`, () => protocol.request('library.import', { name, bytes }));
  const exportFile = (machine: string) =>
    log.attempt('Exporting', () => protocol.request('library.export', { machine }));

  return {
    machines,
    images,
    folder,
    loaded,
    building,
    refresh,
    follow,
    ensureImage,
    cancelBuild,
    create,
    rename,
    duplicate,
    remove,
    importFile,
    exportFile,
  };
});
