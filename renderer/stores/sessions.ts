/** Performance recordings of the open machine: list, start, stop, export. What a session holds is read by its view. */
import { defineStore } from 'pinia';
import { computed, shallowRef, watch } from 'vue';
import type { Session } from '../../electron/protocol/reports.ts';
import { download } from '../design/download.ts';
import { protocol } from '../protocol-client.ts';
import { useLogStore } from './log.ts';
import { useMachineStore } from './machine.ts';

export const useSessionsStore = defineStore('sessions', () => {
  const machine = useMachineStore();
  const log = useLogStore();
  const list = shallowRef<Session[]>([]);
  const recording = computed(() => machine.report?.recording ?? null);
  let stop: (() => void) | null = null;

  async function refresh(): Promise<void> {
    const current = machine.current;
    if (current === null) return;
    const answer = await log.attempt('Listing sessions', () =>
      protocol.request('sessions.list', { machine: current }),
    );
    if (answer !== undefined && machine.current === current) list.value = answer.sessions;
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
      stop = protocol.subscribe('sessions.changed', current, () => void refresh());
      void refresh();
    },
    { immediate: true },
  );

  function freeName(): string {
    const taken = new Set(list.value.map((session) => session.name));
    let number = list.value.length + 1;
    while (taken.has(`Session ${number}`)) number++;
    return `Session ${number}`;
  }

  async function ask<T>(doing: string, action: (machine: string) => Promise<T>): Promise<T | undefined> {
    const current = machine.current;
    if (current === null) return undefined;
    const answer = await log.attempt(doing, () => action(current));
    await refresh();
    return answer;
  }
  const startRecording = () =>
    ask('Recording', (current) => protocol.request('sessions.start', { machine: current, name: freeName() }));
  const stopRecording = () =>
    ask('Ending the recording', (current) => protocol.request('sessions.stop', { machine: current }));
  const rename = (session: string, name: string) =>
    ask('Renaming the session', (current) =>
      protocol.request('sessions.rename', { machine: current, session, name }),
    );
  const remove = (session: string) =>
    ask('Deleting the session', (current) =>
      protocol.request('sessions.delete', { machine: current, session }),
    );
  const exportAs = (session: string, format: 'perfetto' | 'csv') =>
    ask('Exporting the session', async (current) => {
      const answer = await protocol.request('sessions.export', { machine: current, session, format });
      download(answer.fileName, answer.bytes, answer.mediaType);
      log.notify('good', `${answer.fileName} was handed to the downloads.`);
    });

  return { list, recording, refresh, startRecording, stopRecording, rename, remove, exportAs };
});
