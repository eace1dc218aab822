// The thread of one open machine: answers its requests, reports its state, sends telemetry to the connections that want it.
import { workerData } from 'node:worker_threads';
import { openMachineFile } from '../../images/index.ts';
import { ProtocolError } from '../protocol/codec.ts';
import { encodeFrame } from '../protocol/frames.ts';
import type { AnswerOf, AskOf, MachineRequestName } from '../protocol/requests.ts';
import type { MachineReport } from '../protocol/reports.ts';
import { cachedFiles, frameMap, inspectTask, machineNs, memoryCounters } from '../../kernel/index.ts';
import {
  findFiles,
  listDirectory,
  makeDirectory,
  readGuestFile,
  removeTree,
  renameFile,
  statFile,
  writeGuestFile,
} from './guest-files.ts';
import {
  closeMachine,
  feedMachine,
  openMachine,
  pauseMachine,
  saveMachine,
  startMachine,
  type OpenMachine,
} from './machine.ts';
import { machineReport, newReportState } from './report.ts';
import { EDITOR_USER, runProgram } from './run-program.ts';
import { serveThread, type ThreadContext } from './serve.ts';
import { sessionHandlers } from './sessions/handlers.ts';
import { newRecorder, sampleIfDue } from './sessions/recorder.ts';
import { listSnapshots, openSnapshot, saveSnapshot } from './snapshots.ts';
import { stepMachine } from './stepping.ts';
import { newTelemetry, nextFrame } from './telemetry.ts';
import {
  closeTerminal,
  execOnTerminal,
  listTerminals,
  openTerminal,
  type TerminalList,
} from './terminals.ts';

const { machine: topic, file: path } = workerData as { machine: string; file: string };

const REPORT_EVERY_MS = 250;

type Handlers = {
  [N in MachineRequestName | 'machine.open' | 'machine.close']: (
    ask: AskOf<N>,
    context: ThreadContext,
  ) => AnswerOf<N> | Promise<AnswerOf<N>>;
};

serveThread(
  (thread) => {
    let machine: OpenMachine | null = null;
    let terminals: TerminalList | null = null;
    const reportState = newReportState();
    const recorder = newRecorder();
    const telemetry = newTelemetry();
    const rates = new Map<number, NodeJS.Timeout>();

    function isOpen(): OpenMachine {
      if (machine === null) throw new ProtocolError('not-open', 'The machine is not open yet.');
      return machine;
    }
    function terminalList(): TerminalList {
      if (terminals === null) throw new ProtocolError('not-open', 'The machine is not open yet.');
      return terminals;
    }
    const report = (): MachineReport => machineReport(isOpen(), topic, reportState, recorder);
    const tell = (): void => {
      if (machine !== null) thread.emit('machine.report', topic, report());
    };

    function open(boot: boolean): void {
      const file = openMachineFile(path);
      try {
        // set by `npm start -- --compiler off`
        const compiler = process.env['RINGSIDE_COMPILER'] === 'off' ? 'off' : 'on';
        adopt(openMachine(file, { pace: 'live', boot, compiler }));
      } catch (error) {
        file.close();
        throw error;
      }
    }

    /** Takes a machine on: the one that was opened, booted anew or taken from a snapshot. */
    function adopt(next: OpenMachine): void {
      machine = next;
      terminals = { machine: next, topic, thread, execs: new Map() };
      next.listeners.add({
        terminalOutput: (terminal, bytes) => thread.emit('terminal.output', topic, { terminal, bytes }),
        stopped: (problem) => {
          if (problem !== null)
            thread.emit('problem', '', {
              code: 'broken',
              message: problem.message,
              hint: 'The machine file is kept as it was. Reset the machine.',
              machine: topic,
              times: 1,
            });
          tell();
        },
      });
      next.engine.afterPortion = () => sampleIfDue(recorder, next);
      startMachine(next);
      tell();
    }

    function setTelemetry(connection: number, rateHz: number): void {
      clearInterval(rates.get(connection));
      rates.delete(connection);
      if (rateHz === 0) return;
      const send = (): void => {
        if (machine !== null)
          thread.frame(connection, encodeFrame(nextFrame(telemetry, machine, reportState)));
      };
      rates.set(connection, setInterval(send, 1000 / rateHz));
    }

    setInterval(tell, REPORT_EVERY_MS);

    const handlers: Handlers = {
      'machine.open': () => {
        if (machine === null) open(false);
        return { report: report() };
      },
      'machine.close': () => {
        if (machine !== null) closeMachine(machine, true);
        machine = null;
        return {};
      },
      'machine.report': () => ({ report: report() }),
      'machine.start': () => {
        const current = isOpen();
        if (current.stopped !== null) reboot(current);
        else startMachine(current);
        tell();
        return { atNs: machineNs(isOpen().engine.kernel) };
      },
      'machine.pause': () => {
        pauseMachine(isOpen());
        tell();
        return { atNs: machineNs(isOpen().engine.kernel) };
      },
      'machine.step': ({ unit }) => {
        stepMachine(isOpen(), unit);
        tell();
        return { atNs: machineNs(isOpen().engine.kernel) };
      },
      'machine.reset': () => {
        reboot(isOpen());
        return {};
      },
      'machine.powerOff': () => {
        feedMachine(isOpen(), { kind: 'power-off' });
        isOpen().stopped ??= { problem: null };
        pauseMachine(isOpen());
        tell();
        return {};
      },
      'machine.pace': ({ pace }) => {
        isOpen().engine.clock.pace = pace;
        return {};
      },
      'machine.save': () => {
        const current = isOpen();
        const wasRunning = current.engine.running;
        pauseMachine(current);
        saveMachine(current);
        reportState.savedAtMs = Date.now();
        if (wasRunning) startMachine(current);
        return { savedAtMs: reportState.savedAtMs };
      },
      'machine.telemetry': ({ rateHz }, { connection }) => {
        setTelemetry(connection, rateHz);
        return {};
      },

      'snapshot.save': ({ name }) => {
        const snapshot = saveSnapshot(isOpen(), name);
        thread.emit('snapshots.changed', topic, {});
        return { snapshot };
      },
      'snapshot.list': () => ({ snapshots: listSnapshots(isOpen()) }),
      'snapshot.open': ({ snapshot }) => {
        adopt(openSnapshot(isOpen(), snapshot));
        return { report: report() };
      },
      'snapshot.delete': ({ snapshot }) => {
        isOpen().file.deleteSnapshot(snapshot);
        thread.emit('snapshots.changed', topic, {});
        return {};
      },

      'terminal.list': () => ({ terminals: listTerminals(terminalList()) }),
      'terminal.open': ({ terminal, columns, rows }) => openTerminal(terminalList(), terminal, columns, rows),
      'terminal.input': ({ terminal, bytes }) => {
        feedMachine(isOpen(), { kind: 'terminal', terminal, bytes });
        return {};
      },
      'terminal.resize': ({ terminal, columns, rows }) => {
        feedMachine(isOpen(), { kind: 'resize', terminal, columns, rows });
        return {};
      },
      'terminal.close': ({ terminal }) => {
        closeTerminal(terminalList(), terminal);
        return {};
      },
      'terminal.exec': ({ argv, user, directory, columns, rows }) => {
        const words = argv.length > 0 ? argv : ['/bin/sh', '-l'];
        return {
          terminal: execOnTerminal(terminalList(), {
            argv: words,
            user,
            directory,
            columns,
            rows,
            title: words.join(' '),
          }),
          pid: 0,
        };
      },

      'files.list': async (ask) => ({ entries: await listDirectory(isOpen(), ask.path) }),
      'files.stat': async (ask) => ({ file: await statFile(isOpen(), ask.path) }),
      'files.read': async (ask) => ({ bytes: await readGuestFile(isOpen(), ask.path) }),
      'files.write': async (ask) => {
        await writeGuestFile(isOpen(), ask.path, ask.bytes, ask.mode ?? 0o644, EDITOR_USER);
        changed(ask.path);
        return {};
      },
      'files.mkdir': async (ask) => {
        await makeDirectory(isOpen(), ask.path, EDITOR_USER);
        changed(ask.path);
        return {};
      },
      'files.rename': async ({ from, to }) => {
        await renameFile(isOpen(), from, to);
        changed(from);
        changed(to);
        return {};
      },
      'files.remove': async (ask) => {
        await removeTree(isOpen(), ask.path);
        changed(ask.path);
        return {};
      },
      'files.find': async ({ root, text, limit }, { signal }) => ({
        paths: await findFiles(isOpen(), root, text, limit, signal),
      }),

      'program.run': (ask) => runProgram(terminalList(), ask),
      'process.signal': ({ pid, signal }) => {
        feedMachine(isOpen(), { kind: 'signal', pid, signal });
        return {};
      },
      'task.inspect': ({ tid }) => {
        const task = inspectTask(isOpen().engine.kernel, tid);
        if (task === undefined) throw new ProtocolError('not-found', `There is no task ${tid} any more.`);
        return { task };
      },
      'memory.frames': ({ cells }) => frameMap(isOpen().engine.kernel, cells),
      'memory.cachedFiles': ({ limit }) => ({ files: cachedFiles(isOpen().engine.kernel, limit) }),
      'memory.counters': () => memoryCounters(isOpen().engine.kernel),
      ...sessionHandlers(isOpen, recorder, () => thread.emit('sessions.changed', topic, {})),
    };
    return handlers;

    function reboot(current: OpenMachine): void {
      pauseMachine(current);
      const { file, engine, compiler } = current;
      adopt(openMachine(file, { pace: engine.clock.pace, compiler, boot: true }));
    }
    function changed(changedPath: string): void {
      thread.emit('files.changed', topic, {
        directory: changedPath.slice(0, Math.max(1, changedPath.lastIndexOf('/'))),
      });
    }
  },
  () => undefined,
);
