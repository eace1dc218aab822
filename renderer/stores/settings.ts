/** Values that outlive the window, kept by the shell under a name. Writing is gathered for a moment, and flushed on leaving. */
import { defineStore } from 'pinia';
import { protocol } from '../protocol-client.ts';

const GATHER_MS = 400;

export const useSettingsStore = defineStore('settings', () => {
  const pending = new Map<string, string | null>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** The parsed value, or undefined when there is none or it cannot be read. */
  async function load(key: string): Promise<unknown> {
    const waiting = pending.get(key);
    const text = waiting === undefined ? (await protocol.request('settings.get', { key })).value : waiting;
    if (text === null) return undefined;
    try {
      return JSON.parse(text);
    } catch {
      return undefined; // written by another version: start afresh
    }
  }

  function save(key: string, value: unknown): void {
    pending.set(key, value === undefined ? null : JSON.stringify(value));
    clearTimeout(timer);
    timer = setTimeout(() => void flush(), GATHER_MS);
  }

  async function flush(): Promise<void> {
    const entries = [...pending];
    pending.clear();
    await Promise.allSettled(entries.map(([key, value]) => protocol.request('settings.set', { key, value })));
  }

  window.addEventListener('pagehide', () => void flush());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') void flush();
  });

  return { load, save, flush };
});
