// The terminals of an open machine: its consoles, and ptys on which the lab runs commands. Each command's exit status is
// shown as a shell would say it.
import { ProtocolError } from '../protocol/codec.ts';
import type { Terminal } from '../protocol/reports.ts';
import { consoleNames, recentOutput, terminalOfCommand } from '../../kernel/index.ts';
import { feedMachine, startCommand, type OpenMachine } from './machine.ts';
import type { Thread } from './serve.ts';

export interface ExecTerminal {
  title: string;
  ended: number | null;
}

export interface TerminalList {
  readonly machine: OpenMachine;
  readonly topic: string;
  readonly thread: Thread;
  /** Exec terminals by name (pts/N). */
  readonly execs: Map<string, ExecTerminal>;
}

/** `$?` for a wait status. */
export const exitCodeOf = (waitStatus: number): number =>
  (waitStatus & 0x7f) === 0 ? (waitStatus >> 8) & 0xff : 128 + (waitStatus & 0x7f);

export function listTerminals(list: TerminalList): Terminal[] {
  const consoles = consoleNames(list.machine.engine.kernel).map((name) => ({
    terminal: name,
    title: name,
    kind: 'tty' as const,
    ended: null,
  }));
  return [
    ...consoles,
    ...[...list.execs].map(([terminal, exec]) => ({
      terminal,
      title: exec.title,
      kind: 'exec' as const,
      ended: exec.ended,
    })),
  ];
}

export function openTerminal(
  list: TerminalList,
  terminal: string,
  columns: number,
  rows: number,
): { terminal: Terminal; backlog: Uint8Array } {
  const found = listTerminals(list).find((one) => one.terminal === terminal);
  if (found === undefined) throw new ProtocolError('not-found', `There is no terminal "${terminal}".`);
  const backlog = recentOutput(list.machine.engine.kernel, terminal);
  if (found.ended === null) feedMachine(list.machine, { kind: 'resize', terminal, columns, rows });
  return { terminal: found, backlog };
}

/** Runs a command on a new pty; says when it has ended. */
export function execOnTerminal(
  list: TerminalList,
  spec: {
    argv: readonly string[];
    user: string;
    directory: string;
    columns: number;
    rows: number;
    title: string;
  },
): Terminal {
  const { machine } = list;
  const command = startCommand(machine, {
    argv: spec.argv, user: spec.user, directory: spec.directory, environment: ['TERM=xterm-256color'],
    terminal: { columns: spec.columns, rows: spec.rows },
  }); // prettier-ignore
  const name = terminalOfCommand(machine.engine.kernel, command.id);
  if (name === undefined)
    throw new ProtocolError(
      'failed',
      'The machine gave no terminal.',
      'Close terminals that are not needed.',
    );
  const exec: ExecTerminal = { title: spec.title, ended: null };
  list.execs.set(name, exec);
  const changed = (): Terminal => ({ terminal: name, title: exec.title, kind: 'exec', ended: exec.ended });
  list.thread.emit('terminal.changed', list.topic, { terminal: changed() });
  void command.exited.then(
    (status) => {
      exec.ended = exitCodeOf(status);
      list.thread.emit('terminal.changed', list.topic, { terminal: changed() });
    },
    () => undefined, // the machine stopped: its report says so
  );
  return changed();
}

export function closeTerminal(list: TerminalList, terminal: string): void {
  if (!list.execs.delete(terminal)) return;
  feedMachine(list.machine, { kind: 'hang-up', terminal });
}
