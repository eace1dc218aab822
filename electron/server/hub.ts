// The hub of the lab, the same in Electron's main process and in the loopback server: connections come in, requests of the
// library go to one worker thread, those of a machine to the thread that runs it, events and frames go back to whoever follows.
import { join } from 'node:path';
import { ProtocolError } from '../protocol/codec.ts';
import { isEventName, type EventName } from '../protocol/events.ts';
import { dispatchTo, hostEnd, type AskContext, type Dispatch, type HostEnd } from '../protocol/host-end.ts';
import { isMachineRequest, type AnswerOf, type RequestName } from '../protocol/requests.ts';
import type { Packet } from '../protocol/transport.ts';
import { openSettings } from './settings-store.ts';
import { startWorker, type WorkerLink } from './worker-link.ts';

export interface HubOptions {
  readonly shell: 'electron' | 'browser';
  readonly version: string;
  /** Where machine files are. */
  readonly libraryFolder: string;
  /** Where settings are. */
  readonly settingsFolder: string;
  readonly features: readonly string[];
}

export interface Hub {
  /** A new connection; the caller feeds packets to the end that it gets. */
  connect(send: (packet: Packet) => void): HostEnd;
  /** Saves and closes every open machine. */
  close(): Promise<void>;
}

const libraryModule = new URL('../worker/library-worker.ts', import.meta.url);
const machineModule = new URL('../worker/machine-worker.ts', import.meta.url);

export function createHub(options: HubOptions): Hub {
  const settings = openSettings(join(options.settingsFolder, 'settings.json'));
  const connections = new Map<number, HostEnd>();
  const machines = new Map<string, WorkerLink>();
  let lastConnection = 0;

  const listenerOf = (machine: string | null) => ({
    event(name: string, topic: string, event: unknown) {
      if (!isEventName(name)) return;
      // The worker declares its events with the same table; hostEnd checks each against it before it goes out.
      for (const connection of connections.values()) connection.emit(name, topic, event as never);
    },
    frame: (connection: number, bytes: Uint8Array) => void connections.get(connection)?.sendFrame(bytes),
    ended(problem: Error | null) {
      if (machine !== null) machines.delete(machine);
      tellAll('library.changed', '', {});
      if (problem === null) return;
      tellAll('problem', '', { code: 'ended', message: problem.message, hint: null, machine, times: 1 });
    },
  });

  function tellAll(name: EventName, topic: string, event: object): void {
    for (const connection of connections.values()) connection.emit(name, topic, event);
  }

  const library = startWorker(libraryModule, { libraryFolder: options.libraryFolder }, listenerOf(null));

  async function openMachine(
    ask: { machine: string },
    connection: number,
    context: AskContext,
  ): Promise<unknown> {
    const open = machines.get(ask.machine);
    if (open !== undefined) return open.ask('machine.report', ask, connection, context);
    const { file } = (await library.ask('library.fileOf', ask, connection, context)) as { file: string };
    const link = startWorker(machineModule, { machine: ask.machine, file }, listenerOf(ask.machine));
    machines.set(ask.machine, link);
    try {
      const report = await link.ask('machine.open', ask, connection, context);
      tellAll('library.changed', '', {});
      return report;
    } catch (error) {
      machines.delete(ask.machine);
      await link.end();
      throw error;
    }
  }

  async function closeMachine(
    ask: { machine: string },
    connection: number,
    context: AskContext,
  ): Promise<object> {
    const link = machines.get(ask.machine);
    if (link === undefined) return {};
    await link.ask('machine.close', ask, connection, context);
    machines.delete(ask.machine);
    await link.end();
    tellAll('library.changed', '', {});
    return {};
  }

  function refuseOpen(machine: string, what: string): void {
    if (!machines.has(machine)) return;
    throw new ProtocolError('refused', `An open machine cannot be ${what}.`, 'Close the machine first.');
  }

  function dispatchOf(connection: number): Dispatch {
    const own = dispatchTo({
      'app.info': (): AnswerOf<'app.info'> => ({
        version: options.version, shell: options.shell, platform: process.platform, node: process.version,
        libraryFolder: options.libraryFolder, features: [...options.features], missing: [],
      }), // prettier-ignore
      'settings.get': ({ key }) => ({ value: settings.get(key) }),
      'settings.set': ({ key, value }) => {
        settings.set(key, value);
        return {};
      },
    });
    return async (name: RequestName, ask: unknown, context: AskContext) => {
      if (name === 'app.info' || name === 'settings.get' || name === 'settings.set')
        return own(name, ask, context);
      // hostEnd has checked the ask: whatever has a machine names it by a string.
      const machine = typeof ask === 'object' && ask !== null && 'machine' in ask ? String(ask.machine) : '';
      if (name === 'machine.open') return openMachine({ machine }, connection, context);
      if (name === 'machine.close') return closeMachine({ machine }, connection, context);
      if (isMachineRequest(name)) {
        const link = machines.get(machine);
        if (link === undefined)
          throw new ProtocolError('not-open', 'This machine is not open.', 'Open it in the library.');
        return link.ask(name, ask, connection, context);
      }
      if (name === 'library.delete') refuseOpen(machine, 'deleted');
      if (name === 'library.rename') refuseOpen(machine, 'renamed');
      if (name === 'library.duplicate' || name === 'library.export') refuseOpen(machine, 'copied');
      return library.ask(
        name,
        name === 'library.list' ? { open: [...machines.keys()] } : ask,
        connection,
        context,
      );
    };
  }

  return {
    connect(send) {
      const number = ++lastConnection;
      const end = hostEnd(send, dispatchOf(number));
      connections.set(number, end);
      return {
        ...end,
        close() {
          end.close();
          connections.delete(number);
          for (const link of machines.values()) link.forget(number);
        },
      };
    },
    async close() {
      const context: AskContext = { progress: () => undefined, signal: new AbortController().signal };
      await Promise.allSettled([...machines.keys()].map((machine) => closeMachine({ machine }, 0, context)));
      await library.end();
    },
  };
}
