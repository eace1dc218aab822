// The lab's settings: one JSON text a key, in one file that is replaced as a whole, so that a crash leaves the old or the new.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export interface SettingsStore {
  get(key: string): string | null;
  set(key: string, value: string | null): void;
}

export function openSettings(path: string): SettingsStore {
  const values = new Map<string, string>(readEntries(path));
  return {
    get: (key) => values.get(key) ?? null,
    set(key, value) {
      if (value === null) values.delete(key);
      else values.set(key, value);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.new`, JSON.stringify(Object.fromEntries(values), null, 1), { flush: true });
      renameSync(`${path}.new`, path);
    },
  };
}

/** A damaged file gives no settings; it is kept beside the new one for the user to look at. */
function readEntries(path: string): [string, string][] {
  if (!existsSync(path)) return [];
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof parsed !== 'object' || parsed === null) throw new Error('not an object');
    return Object.entries(parsed).flatMap(([key, value]) =>
      typeof value === 'string' ? [[key, value] as [string, string]] : [],
    );
  } catch {
    renameSync(path, `${path}.damaged`);
    return [];
  }
}
