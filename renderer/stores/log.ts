/** What the user must hear: short notices at the corner, and the Output panel's lines, which keep everything. */
import { defineStore } from 'pinia';
import { ref, shallowRef, triggerRef } from 'vue';
import { ProtocolError } from '../../electron/protocol/codec.ts';
import { protocol } from '../protocol-client.ts';

export type Tone = 'info' | 'good' | 'warning' | 'error';
export interface Notice {
  id: number;
  tone: Tone;
  message: string;
  hint: string | null;
}
export interface OutputLine {
  id: number;
  atMs: number;
  level: 'info' | 'warning' | 'error';
  source: string;
  text: string;
}

const MOST_LINES = 5000;
const MOST_NOTICES = 4;

export const useLogStore = defineStore('log', () => {
  const notices = ref<Notice[]>([]);
  const lines = shallowRef<OutputLine[]>([]);
  let lastId = 0;

  function write(level: OutputLine['level'], source: string, text: string, atMs = Date.now()): void {
    lines.value.push({ id: ++lastId, atMs, level, source, text });
    if (lines.value.length > MOST_LINES) lines.value.splice(0, MOST_LINES / 10);
    triggerRef(lines);
  }

  function notify(tone: Tone, message: string, hint: string | null = null): void {
    const same = notices.value.find((notice) => notice.message === message);
    if (same === undefined) {
      const id = ++lastId;
      notices.value = [...notices.value, { id, tone, message, hint }].slice(-MOST_NOTICES);
      if (tone !== 'error') setTimeout(() => dismiss(id), 6000);
    }
    const level = tone === 'error' || tone === 'warning' ? tone : 'info';
    write(level, 'lab', hint === null ? message : `${message} ${hint}`);
  }

  function dismiss(id: number): void {
    notices.value = notices.value.filter((notice) => notice.id !== id);
  }

  /** Runs an action of the user; what fails is said with what was being done. */
  async function attempt<T>(doing: string, action: () => Promise<T>): Promise<T | undefined> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof ProtocolError && error.code === 'cancelled') return undefined;
      const message = error instanceof Error ? error.message : String(error);
      notify('error', `${doing}: ${message}`, error instanceof ProtocolError ? error.hint : null);
      return undefined;
    }
  }

  function follow(): void {
    protocol.subscribe('log', '', (line) => write(line.level, line.source, line.text, line.atMs));
    protocol.subscribe('problem', '', (problem) => {
      notify(
        'error',
        problem.times > 1 ? `${problem.message} (${problem.times} times)` : problem.message,
        problem.hint,
      );
    });
  }

  function clear(): void {
    lines.value = [];
  }

  return { notices, lines, write, notify, dismiss, attempt, follow, clear };
});
