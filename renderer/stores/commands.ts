/**
 * Every command, declared once with its name and keys: the palette, the menus, the key handler and the help
 * panel all read this list. `inTerminal` keys work while a terminal has the focus; the others are the shell's.
 */
import { defineStore } from 'pinia';
import { computed } from 'vue';
import { matches, parseChord } from '../design/keys.ts';
import type { KeyPress } from '../design/keys.ts';
import { useAppStore } from './app.ts';
import { useEditorStore } from './editor.ts';
import { useFilesStore } from './files.ts';
import { useMachineStore } from './machine.ts';
import { useSessionsStore } from './sessions.ts';
import { useSnapshotsStore } from './snapshots.ts';
import { useTerminalsStore } from './terminals.ts';
import { useTimeCursorStore } from './time-cursor.ts';
import { instruments, useWorkbenchStore } from './workbench.ts';

export interface Command {
  readonly id: string;
  readonly title: string;
  readonly group: 'View' | 'Machine' | 'File' | 'Program' | 'Terminal' | 'Session' | 'Help';
  readonly keys?: string;
  readonly inTerminal?: true;
  /** Missing: always. */
  readonly enabled?: () => boolean;
  readonly run: () => unknown;
}

export const useCommandsStore = defineStore('commands', () => {
  const app = useAppStore();
  const machine = useMachineStore();
  const editor = useEditorStore();
  const files = useFilesStore();
  const terminals = useTerminalsStore();
  const sessions = useSessionsStore();
  const snapshots = useSnapshotsStore();
  const workbench = useWorkbenchStore();
  const cursor = useTimeCursorStore();

  const open = () => machine.current !== null;
  const editing = () => open() && editor.active !== null;

  async function runActive(): Promise<void> {
    const path = editor.active;
    if (path === null) return;
    const terminal = await editor.run(path);
    if (terminal !== undefined)
      workbench.openTerminal(terminal, terminals.list.find((t) => t.terminal === terminal)?.title);
    else if (editor.diagnostics.length > 0) workbench.show('problems');
  }
  async function newTerminal(): Promise<void> {
    const terminal = await terminals.exec([], '/root', 'root');
    if (terminal !== undefined) workbench.openTerminal(terminal.terminal, terminal.title);
  }
  function closeActivePanel(): void {
    const id = workbench.activePanel;
    if (id !== null) workbench.closePanel(id);
  }

  const builtIn: readonly Command[] = [
    {
      id: 'palette',
      title: 'Show all commands',
      group: 'View',
      keys: 'Ctrl+Shift+P',
      inTerminal: true,
      run: () => (app.dialog = 'palette'),
    },
    {
      id: 'go-to-file',
      title: 'Go to file',
      group: 'File',
      keys: 'Ctrl+P',
      enabled: open,
      run: () => (app.dialog = 'files'),
    },
    {
      id: 'help',
      title: 'Keys and words',
      group: 'Help',
      keys: 'F1',
      inTerminal: true,
      run: () => (app.dialog = 'help'),
    },
    {
      id: 'theme',
      title: 'Switch between light and dark',
      group: 'View',
      keys: 'Ctrl+Alt+T',
      inTerminal: true,
      run: () => app.toggleTheme(),
    },
    {
      id: 'theme-system',
      title: 'Follow the system’s theme',
      group: 'View',
      run: () => (app.theme = 'system'),
    },

    {
      id: 'font-larger',
      title: 'Larger text in editor and terminals',
      group: 'View',
      run: () => (app.fontSize = Math.min(28, app.fontSize + 1)),
    },
    {
      id: 'font-smaller',
      title: 'Smaller text in editor and terminals',
      group: 'View',
      run: () => (app.fontSize = Math.max(9, app.fontSize - 1)),
    },
    {
      id: 'screen-reader',
      title: 'Screen reader support in terminals, on or off',
      group: 'View',
      run: () => (app.screenReader = !app.screenReader),
    },

    {
      id: 'start',
      title: 'Run the machine',
      group: 'Machine',
      keys: 'F5',
      inTerminal: true,
      enabled: () => open() && machine.canStart,
      run: () => machine.start(),
    },
    {
      id: 'pause',
      title: 'Pause the machine',
      group: 'Machine',
      keys: 'F6',
      inTerminal: true,
      enabled: () => machine.canPause,
      run: () => machine.pause(),
    },
    {
      id: 'step-instruction',
      title: 'Step one instruction',
      group: 'Machine',
      keys: 'F11',
      inTerminal: true,
      enabled: () => machine.status === 'paused',
      run: () => machine.step('instruction'),
    },
    {
      id: 'step-slice',
      title: 'Step one slice',
      group: 'Machine',
      keys: 'F10',
      inTerminal: true,
      enabled: () => machine.status === 'paused',
      run: () => machine.step('slice'),
    },
    {
      id: 'step-syscall',
      title: 'Step to the next system call',
      group: 'Machine',
      keys: 'Shift+F11',
      inTerminal: true,
      enabled: () => machine.status === 'paused',
      run: () => machine.step('syscall'),
    },
    {
      id: 'pace-live',
      title: 'Pace: live (never ahead of the host’s clock)',
      group: 'Machine',
      enabled: open,
      run: () => machine.setPace('live'),
    },
    {
      id: 'pace-fast',
      title: 'Pace: fast (skip idle time)',
      group: 'Machine',
      enabled: open,
      run: () => machine.setPace('fast'),
    },
    {
      id: 'save-machine',
      title: 'Save the running state',
      group: 'Machine',
      keys: 'Ctrl+Shift+S',
      inTerminal: true,
      enabled: open,
      run: () => machine.save(),
    },
    {
      id: 'snapshot',
      title: 'Save a snapshot',
      group: 'Machine',
      keys: 'Ctrl+Shift+N',
      inTerminal: true,
      enabled: open,
      run: () => snapshots.save(`Snapshot ${snapshots.list.length + 1}`),
    },
    { id: 'reset', title: 'Reset the machine', group: 'Machine', enabled: open, run: () => machine.reset() },
    {
      id: 'power-off',
      title: 'Power off the machine',
      group: 'Machine',
      enabled: open,
      run: () => machine.powerOff(),
    },
    {
      id: 'close-machine',
      title: 'Save and close the machine',
      group: 'Machine',
      enabled: open,
      run: () => machine.close(),
    },
    {
      id: 'live',
      title: 'Go to the live instant',
      group: 'View',
      enabled: () => !cursor.isLive,
      run: () => cursor.goLive(),
    },

    {
      id: 'save',
      title: 'Save the file',
      group: 'File',
      keys: 'Ctrl+S',
      enabled: editing,
      run: () => editor.save(editor.active ?? ''),
    },
    {
      id: 'save-all',
      title: 'Save all files',
      group: 'File',
      keys: 'Ctrl+Alt+S',
      enabled: open,
      run: () => editor.saveAll(),
    },
    {
      id: 'refresh-files',
      title: 'Refresh the file tree',
      group: 'File',
      enabled: open,
      run: () => files.refresh(),
    },
    {
      id: 'run',
      title: 'Run the file',
      group: 'Program',
      keys: 'Ctrl+Enter',
      enabled: editing,
      run: runActive,
    },

    {
      id: 'terminal',
      title: 'Show the terminal',
      group: 'Terminal',
      keys: 'Ctrl+`',
      inTerminal: true,
      enabled: open,
      run: () => workbench.openTerminal('tty1'),
    },
    {
      id: 'terminal-2',
      title: 'Show the second terminal',
      group: 'Terminal',
      enabled: open,
      run: () => workbench.openTerminal('tty2'),
    },
    {
      id: 'new-terminal',
      title: 'New terminal',
      group: 'Terminal',
      keys: 'Ctrl+Shift+`',
      inTerminal: true,
      enabled: open,
      run: newTerminal,
    },

    {
      id: 'record',
      title: 'Record a session',
      group: 'Session',
      keys: 'Ctrl+Shift+R',
      inTerminal: true,
      enabled: () => open() && sessions.recording === null,
      run: () => sessions.startRecording(),
    },
    {
      id: 'stop-recording',
      title: 'End the recording',
      group: 'Session',
      enabled: () => sessions.recording !== null,
      run: async () => {
        const answer = await sessions.stopRecording();
        if (answer !== undefined) workbench.openSession(answer.session.session, answer.session.name);
      },
    },

    {
      id: 'layout-write',
      title: 'Layout: Write',
      group: 'View',
      keys: 'Ctrl+Alt+1',
      inTerminal: true,
      enabled: open,
      run: () => workbench.usePreset('write'),
    },
    {
      id: 'layout-watch',
      title: 'Layout: Watch',
      group: 'View',
      keys: 'Ctrl+Alt+2',
      inTerminal: true,
      enabled: open,
      run: () => workbench.usePreset('watch'),
    },
    {
      id: 'layout-analyse',
      title: 'Layout: Analyse',
      group: 'View',
      keys: 'Ctrl+Alt+3',
      inTerminal: true,
      enabled: open,
      run: () => workbench.usePreset('analyse'),
    },
    {
      id: 'side-panel',
      title: 'Show or hide the side panel',
      group: 'View',
      keys: 'Ctrl+B',
      enabled: open,
      run: () => (app.sideOpen = !app.sideOpen),
    },
    {
      id: 'side-machines',
      title: 'Side panel: machines',
      group: 'View',
      enabled: open,
      run: () => app.showSide('machines'),
    },
    {
      id: 'side-files',
      title: 'Side panel: guest files',
      group: 'View',
      keys: 'Ctrl+Shift+E',
      enabled: open,
      run: () => app.showSide('files'),
    },
    {
      id: 'side-processes',
      title: 'Side panel: processes',
      group: 'View',
      enabled: open,
      run: () => app.showSide('processes'),
    },
    {
      id: 'side-sessions',
      title: 'Side panel: sessions',
      group: 'View',
      enabled: open,
      run: () => app.showSide('sessions'),
    },
    {
      id: 'side-snapshots',
      title: 'Side panel: snapshots',
      group: 'View',
      enabled: open,
      run: () => app.showSide('snapshots'),
    },
    {
      id: 'next-group',
      title: 'Focus the next group of panels',
      group: 'View',
      keys: 'F8',
      inTerminal: true,
      enabled: open,
      run: () => workbench.focusGroup(1),
    },
    {
      id: 'previous-group',
      title: 'Focus the previous group of panels',
      group: 'View',
      keys: 'Shift+F8',
      inTerminal: true,
      enabled: open,
      run: () => workbench.focusGroup(-1),
    },
    {
      id: 'next-tab',
      title: 'Next panel',
      group: 'View',
      keys: 'Ctrl+Alt+PageDown',
      inTerminal: true,
      enabled: open,
      run: () => workbench.nextTab(),
    },
    {
      id: 'previous-tab',
      title: 'Previous panel',
      group: 'View',
      keys: 'Ctrl+Alt+PageUp',
      inTerminal: true,
      enabled: open,
      run: () => workbench.previousTab(),
    },
    {
      id: 'maximise',
      title: 'Fill the window with the panel, or go back',
      group: 'View',
      keys: 'Ctrl+Alt+M',
      inTerminal: true,
      enabled: open,
      run: () => workbench.toggleMaximize(),
    },
    {
      id: 'close-panel',
      title: 'Close the panel',
      group: 'View',
      keys: 'Ctrl+Alt+W',
      inTerminal: true,
      enabled: open,
      run: closeActivePanel,
    },
    {
      id: 'problems',
      title: 'Show problems',
      group: 'View',
      keys: 'Ctrl+Shift+M',
      enabled: open,
      run: () => workbench.show('problems'),
    },
    {
      id: 'output',
      title: 'Show output',
      group: 'View',
      keys: 'Ctrl+Shift+U',
      enabled: open,
      run: () => workbench.show('output'),
    },
    ...Object.entries(instruments).map(([name, title]): Command => ({
      id: `show-${name}`,
      title: `Show ${title}`,
      group: 'View',
      enabled: open,
      run: () => workbench.show(name),
    })),
  ];

  /** With the user's own keys in place of ours. */
  const all = computed(() => {
    return builtIn.map((command): Command => {
      const own = app.keys[command.id];
      return own === undefined ? command : { ...command, keys: own };
    });
  });
  const chords = computed(() =>
    all.value.flatMap((command) => {
      const chord = command.keys === undefined ? undefined : parseChord(command.keys);
      return chord === undefined ? [] : [{ chord, command }];
    }),
  );

  const find = (id: string) => all.value.find((command) => command.id === id);
  const isEnabled = (command: Command) => command.enabled?.() ?? true;
  const keysOf = (id: string) => find(id)?.keys;
  function run(id: string): void {
    const command = find(id);
    if (command !== undefined && isEnabled(command)) void command.run();
  }
  function commandFor(press: KeyPress, inTerminal: boolean): Command | undefined {
    const found = chords.value.find(({ chord, command }) => {
      return matches(chord, press) && (!inTerminal || command.inTerminal === true);
    });
    return found?.command;
  }
  function changeKeys(id: string, keys: string | undefined): void {
    const { [id]: _old, ...others } = app.keys;
    app.keys = keys === undefined ? others : { ...others, [id]: keys };
  }

  return { all, find, isEnabled, keysOf, run, commandFor, changeKeys };
});
