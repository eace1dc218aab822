// Requests about sessions. The session that was read last stays in memory, with its lanes.
import type { AnswerOf, AskOf, RequestName } from '../../protocol/requests.ts';
import type { Session, SessionDetails } from '../../protocol/reports.ts';
import type { SessionInfo } from '../../../images/index.ts';
import type { OpenMachine } from '../machine.ts';
import { toCsv } from './csv.ts';
import { toPerfetto } from './perfetto.ts';
import { startRecording, stopRecording, type Recorder, type SessionMeta } from './recorder.ts';
import { loadSession, type StoredSession } from './store.ts';
import { lanesOf, readLane, readRows, readSeries, sumRange, type Lane } from './views.ts';

type SessionRequest = Extract<RequestName, `sessions.${string}`>;
type SessionHandlers = { [N in SessionRequest]: (ask: AskOf<N>) => AnswerOf<N> };

function viewOf(info: SessionInfo, running: boolean): Session {
  const meta = info.meta as Partial<SessionMeta> | null;
  return {
    session: info.name, name: info.name, startNs: info.startNs, endNs: info.endNs, recordedAtMs: meta?.recordedAtMs ?? 0,
    eventCount: meta?.eventCount ?? 0, sizeBytes: 0, running,
  }; // prettier-ignore
}

export function sessionHandlers(
  isOpen: () => OpenMachine,
  recorder: Recorder,
  changed: () => void,
): SessionHandlers {
  let kept: { session: StoredSession; lanes: Lane[] } | null = null;

  function read(name: string): { session: StoredSession; lanes: Lane[] } {
    if (kept?.session.name === name) return kept;
    const session = loadSession(isOpen().file, name);
    kept = { session, lanes: lanesOf(session) };
    return kept;
  }
  function find(name: string): SessionInfo {
    const info = isOpen()
      .file.listSessions()
      .find((one) => one.name === name);
    if (info === undefined) throw new Error(`There is no session "${name}".`);
    return info;
  }
  const isRunning = (name: string): boolean => recorder.current?.name === name;

  return {
    'sessions.start': ({ name }) => {
      startRecording(recorder, isOpen(), name);
      changed();
      return { session: name };
    },
    'sessions.stop': () => {
      const name = stopRecording(recorder, isOpen());
      kept = null;
      changed();
      return { session: viewOf(find(name), false) };
    },
    'sessions.list': () => ({
      sessions: isOpen()
        .file.listSessions()
        .map((info) => viewOf(info, isRunning(info.name))),
    }),
    'sessions.describe': ({ session: name }) => {
      const { session } = read(name);
      const counts = new Map<string, number>();
      for (const event of session.events())
        counts.set(`${event.system}:${event.name}`, (counts.get(`${event.system}:${event.name}`) ?? 0) + 1);
      const details: SessionDetails = {
        about: viewOf(find(name), isRunning(name)), cpus: session.cpus, series: session.series.map(({ name: series, group, unit, kind }) => ({ name: series, group, unit, kind })),
        events: [...counts].map(([event, count]) => ({ name: event, count })),
        tasks: session.meta.tasks.map(({ tid, pid, comm, firstNs, lastNs }) => ({ tid, pid, comm, firstNs, lastNs })), seed: session.meta.seed,
      }; // prettier-ignore
      return { session: details };
    },
    'sessions.read': ({ session: name, fromNs, toNs, pixels, series, lanes }) => {
      const found = read(name);
      return {
        series: found.session.series
          .filter((one) => series.includes(one.name))
          .map((one) => readSeries(one, fromNs, toNs, pixels)),
        lanes: lanes ? found.lanes.map((lane, cpu) => readLane(lane, cpu, fromNs, toNs, pixels)) : [],
      };
    },
    'sessions.events': (ask) => readRows(read(ask.session).session, ask),
    'sessions.sums': ({ session: name, fromNs, toNs }) => {
      const { session, lanes } = read(name);
      return { sums: sumRange(session, lanes, fromNs, toNs) };
    },
    'sessions.export': ({ session: name, format }) => {
      const { session } = read(name);
      if (format === 'csv')
        return {
          fileName: `${name}.csv`,
          mediaType: 'text/csv',
          bytes: new TextEncoder().encode(toCsv(session)),
        };
      return {
        fileName: `${name}.perfetto-trace`,
        mediaType: 'application/octet-stream',
        bytes: toPerfetto(session),
      };
    },
    'sessions.rename': ({ session: name, name: next }) => {
      isOpen().file.changeSession(name, { name: next });
      kept = null;
      changed();
      return {};
    },
    'sessions.delete': ({ session: name }) => {
      isOpen().file.deleteSession(name);
      if (kept?.session.name === name) kept = null;
      changed();
      return {};
    },
  };
}
