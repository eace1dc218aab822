/** Saved states of the open machine. */
import { defineStore } from 'pinia';
import { shallowRef, watch } from 'vue';
import type { Snapshot } from '../../electron/protocol/reports.ts';
import { protocol } from '../protocol-client.ts';
import { useLogStore } from './log.ts';
import { useMachineStore } from './machine.ts';

export const useSnapshotsStore = defineStore('snapshots', () => {
  const machine = useMachineStore();
  const log = useLogStore();
  const list = shallowRef<Snapshot[]>([]);
  let stop: (() => void) | null = null;

  async function refresh(): Promise<void> {
    const current = machine.current;
    if (current === null) return;
    const answer = await log.attempt('Listing snapshots', () =>
      protocol.request('snapshot.list', { machine: current }),
    );
    if (answer !== undefined && machine.current === current) list.value = answer.snapshots;
  }
  watch(
    () => [machine.current, machine.generation] as const,
    ([current]) => {
      stop?.();
      stop = null;
      if (current === null) {
        list.value = [];
        return;
      }
      stop = protocol.subscribe('snapshots.changed', current, () => void refresh());
      void refresh();
    },
    { immediate: true },
  );

  function ask(doing: string, action: (machine: string) => Promise<unknown>): Promise<unknown> {
    const current = machine.current;
    return current === null ? Promise.resolve() : log.attempt(doing, () => action(current)).then(refresh);
  }
  const save = (name: string) =>
    ask('Saving a snapshot', (current) => protocol.request('snapshot.save', { machine: current, name }));
  const remove = (snapshot: string) =>
    ask('Deleting the snapshot', (current) =>
      protocol.request('snapshot.delete', { machine: current, snapshot }),
    );
  const open = (snapshot: string) =>
    ask('Going back to the snapshot', async (current) => {
      const answer = await protocol.request('snapshot.open', { machine: current, snapshot });
      machine.pastChanged(answer.report);
    });

  return { list, refresh, save, remove, open };
});
