/** The open machine: its id and what its worker last reported. Every button here asks; the next report shows it. */
import { defineStore } from 'pinia';
import { computed, ref, shallowRef } from 'vue';
import type { MachineReport } from '../../electron/protocol/reports.ts';
import { protocol } from '../protocol-client.ts';
import { useAppStore } from './app.ts';
import { useLogStore } from './log.ts';

export const useMachineStore = defineStore('machine', () => {
  const app = useAppStore();
  const log = useLogStore();
  const current = ref<string | null>(null);
  const opening = ref<string | null>(null);
  const report = shallowRef<MachineReport | null>(null);
  /** Grows when the machine's past changes (reset, snapshot opened, reconnected): views ask anew. */
  const generation = ref(0);
  let unfollow: (() => void) | null = null;

  const status = computed(() => report.value?.status ?? 'off');
  const isRunning = computed(() => status.value === 'running' || status.value === 'booting');
  const canStart = computed(() => ['off', 'paused', 'halted'].includes(status.value));
  const canPause = computed(() => isRunning.value);

  function take(next: MachineReport): void {
    if (next.machine === current.value) report.value = next;
  }

  async function open(machine: string): Promise<boolean> {
    if (current.value !== null && current.value !== machine) await close();
    opening.value = machine;
    const answer = await log.attempt('Opening the machine', () =>
      protocol.request('machine.open', { machine }),
    );
    opening.value = null;
    if (answer === undefined) return false;
    current.value = machine;
    app.lastMachine = machine;
    report.value = answer.report;
    generation.value++;
    unfollow?.();
    unfollow = protocol.subscribe('machine.report', machine, take);
    return true;
  }

  /** After a reconnection: the worker may be another one by now. */
  async function resume(): Promise<void> {
    const machine = current.value;
    if (machine === null) return;
    const answer = await log.attempt('Opening the machine again', () =>
      protocol.request('machine.open', { machine }),
    );
    if (answer === undefined) return leave();
    report.value = answer.report;
    generation.value++;
  }

  function leave(): void {
    unfollow?.();
    unfollow = null;
    current.value = null;
    report.value = null;
    app.lastMachine = null;
  }

  async function close(): Promise<void> {
    const machine = current.value;
    if (machine === null) return;
    const done = await log.attempt('Saving and closing', () =>
      protocol.request('machine.close', { machine }),
    );
    if (done !== undefined) leave();
  }

  function ask(doing: string, action: (machine: string) => Promise<unknown>): Promise<unknown> {
    const machine = current.value;
    return machine === null ? Promise.resolve() : log.attempt(doing, () => action(machine));
  }
  const start = () => ask('Starting', (machine) => protocol.request('machine.start', { machine }));
  const pause = () => ask('Pausing', (machine) => protocol.request('machine.pause', { machine }));
  const step = (unit: 'instruction' | 'slice' | 'syscall') =>
    ask('Stepping', (machine) => protocol.request('machine.step', { machine, unit }));
  const save = () =>
    ask('Saving', async (machine) => {
      await protocol.request('machine.save', { machine });
      log.notify('good', 'The running state is saved in the machine file.');
    });
  const setPace = (pace: 'live' | 'fast') =>
    ask('Changing the pace', (machine) => protocol.request('machine.pace', { machine, pace }));
  const reset = () =>
    ask('Resetting', async (machine) => {
      await protocol.request('machine.reset', { machine });
      generation.value++;
    });
  const powerOff = () => ask('Powering off', (machine) => protocol.request('machine.powerOff', { machine }));
  function pastChanged(next: MachineReport): void {
    report.value = next;
    generation.value++;
  }

  return {
    current,
    opening,
    report,
    generation,
    status,
    isRunning,
    canStart,
    canPause,
    open,
    resume,
    close,
    start,
    pause,
    step,
    save,
    setPace,
    reset,
    powerOff,
    pastChanged,
  };
});
