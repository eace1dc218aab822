/** The open machine's terminals. Their text lives in the xterm instances of the panes; this is who there is. */
import { defineStore } from 'pinia';
import { shallowRef, watch } from 'vue';
import type { Terminal } from '../../electron/protocol/reports.ts';
import { protocol } from '../protocol-client.ts';
import { useLogStore } from './log.ts';
import { useMachineStore } from './machine.ts';

export const useTerminalsStore = defineStore('terminals', () => {
  const machine = useMachineStore();
  const log = useLogStore();
  const list = shallowRef<Terminal[]>([]);
  /** The size of the pane that was measured last, for terminals that are about to open. */
  const size = { columns: 80, rows: 24 };
  let stop: (() => void) | null = null;

  function take(terminal: Terminal): void {
    const others = list.value.filter((known) => known.terminal !== terminal.terminal);
    list.value = [...others, terminal].sort((a, b) =>
      a.terminal.localeCompare(b.terminal, 'en', { numeric: true }),
    );
  }
  async function refresh(): Promise<void> {
    const current = machine.current;
    if (current === null) return;
    const answer = await log.attempt('Listing terminals', () =>
      protocol.request('terminal.list', { machine: current }),
    );
    if (answer !== undefined && machine.current === current) list.value = answer.terminals;
  }
  watch(
    () => [machine.current, machine.generation] as const,
    ([current]) => {
      stop?.();
      stop = null;
      list.value = [];
      if (current === null) return;
      stop = protocol.subscribe('terminal.changed', current, (event) => take(event.terminal));
      void refresh();
    },
    { immediate: true },
  );

  /** A new shell, or another command, on a pty of its own. */
  async function exec(argv: string[], directory: string, user: string): Promise<Terminal | undefined> {
    const current = machine.current;
    if (current === null) return undefined;
    const answer = await log.attempt('Opening a terminal', () =>
      protocol.request('terminal.exec', { machine: current, argv, user, directory, ...size }),
    );
    if (answer !== undefined) take(answer.terminal);
    return answer?.terminal;
  }

  async function close(terminal: string): Promise<void> {
    const current = machine.current;
    const known = list.value.find((entry) => entry.terminal === terminal);
    if (current === null || known?.kind !== 'exec') return;
    list.value = list.value.filter((entry) => entry.terminal !== terminal);
    await log.attempt('Closing the terminal', () =>
      protocol.request('terminal.close', { machine: current, terminal }),
    );
  }

  return { list, size, take, refresh, exec, close };
});
