// Where things are on the host: machine files in a folder that users see, settings and caches where the platform keeps them.
import { homedir } from 'node:os';
import { join } from 'node:path';

/** RINGSIDE_LIBRARY and RINGSIDE_SETTINGS move them, for tests and for several libraries side by side. */
export function dataFolders(): { libraryFolder: string; settingsFolder: string } {
  return {
    libraryFolder: process.env['RINGSIDE_LIBRARY'] ?? join(homedir(), 'Ringside'),
    settingsFolder: process.env['RINGSIDE_SETTINGS'] ?? join(settingsHome(), 'ringside'),
  };
}

function settingsHome(): string {
  if (process.platform === 'darwin') return join(homedir(), 'Library/Application Support');
  if (process.platform === 'win32') return process.env['APPDATA'] ?? join(homedir(), 'AppData/Roaming');
  return process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config');
}
