/**
 * TEST DOUBLE. A loopback server that speaks the protocol with made-up data, for component tests and
 * screenshots of the built renderer: `node renderer/testing/fake-lab.ts [port]`. Not part of the product.
 */
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { encodeFrame } from '../../electron/protocol/frames.ts';
import { ProtocolError } from '../../electron/protocol/codec.ts';
import { dispatchTo, hostEnd } from '../../electron/protocol/host-end.ts';
import type { Handlers, HostEnd } from '../../electron/protocol/host-end.ts';
import type { EventName, EventOf } from '../../electron/protocol/events.ts';
import type {
  FileInfo,
  LibraryMachine,
  MachineReport,
  Session,
  Snapshot,
  Terminal,
} from '../../electron/protocol/reports.ts';
import { advance, MEMORY, newFakeMachine, SWAP } from './fake-machine.ts';
import { fakeSession, readEvents, readLanes, readSeries, readSums } from './fake-session.ts';

const HELLO =
  '#include <stdio.h>\n\nint main(void) {\n    printf("Hello from the ring.\\n");\n    return 0;\n}\n';
const HOG =
  '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\n/* Touches more memory than the machine has and checks what it wrote. */\nint main(void) {\n    size_t size = 384UL << 20;\n    unsigned char *memory = malloc(size);\n    if (!memory)\n        return 1;\n    for (size_t i = 0; i < size; i += 4096)\n        memory[i] = (unsigned char)(i >> 12);\n    printf("done\\n");\n    return 0;\n}\n';

export interface FakeLabOptions {
  /** The base image is missing at first and takes this long to build. */
  readonly buildMs?: number;
  readonly withMachine?: boolean;
}

export function startFakeLab(port: number, options: FakeLabOptions = {}) {
  const root = fileURLToPath(new URL('../../dist/renderer/', import.meta.url));
  const types: Record<string, string> = {
    '.html': 'text/html',
    '.js': 'text/javascript',
    '.css': 'text/css',
    '.ttf': 'font/ttf',
  };
  const connections = new Set<HostEnd>();
  const settings = new Map<string, string>();
  const files = new Map<string, Uint8Array | null>(); // null: a directory
  for (const path of [
    '/',
    '/bin',
    '/dev',
    '/etc',
    '/etc/init.d',
    '/home',
    '/home/student',
    '/lib',
    '/proc',
    '/root',
    '/sbin',
    '/sys',
    '/tmp',
    '/usr',
    '/usr/include',
    '/usr/lib',
    '/var',
  ])
    files.set(path, null);
  const text = (value: string) => new TextEncoder().encode(value);
  files.set('/home/student/hello.c', text(HELLO));
  files.set('/home/student/hog.c', text(HOG));
  files.set('/home/student/threads.c', text(HELLO));
  files.set('/home/student/Makefile', text('all: hello\n\nhello: hello.c\n\ttcc -o hello hello.c\n'));
  files.set('/etc/inittab', text('::sysinit:/etc/init.d/rcS\ntty1::respawn:-/bin/sh\n'));
  files.set(
    '/etc/passwd',
    text('root:x:0:0:root:/root:/bin/sh\nstudent:x:1000:1000::/home/student:/bin/sh\n'),
  );
  for (let index = 0; index < 120; index++)
    files.set(`/usr/include/header${index}.h`, text('/* header */\n'));

  let imageReady = (options.buildMs ?? 0) === 0;
  const machines: LibraryMachine[] = [];
  const newEntry = (name: string): LibraryMachine => ({
    machine: `${name}.ringside`,
    file: `/home/user/Ringside/${name}.ringside`,
    fileBytes: 9_400_000,
    changedAtMs: Date.now() - 12_000,
    state: 'off',
    virtualNs: 0,
    snapshotCount: 0,
    sessionCount: 0,
    problem: null,
    settings: { name, image: 'base', cpus: 2, memoryBytes: MEMORY, swapBytes: SWAP, seed: 1, disk: 'ssd' },
  });
  if (options.withMachine === true) {
    machines.push(
      { ...newEntry('lab'), state: 'saved', virtualNs: 83e9, snapshotCount: 2, sessionCount: 1 },
      {
        ...newEntry('broken'),
        state: 'unreadable',
        problem:
          'This file is not a machine file: it does not begin as an SQLite database. It was left as it is.',
      },
    );
  }
  const machine = newFakeMachine();
  let open: string | null = null;
  let savedAtMs: number | null = null;
  let recording: MachineReport['recording'] = null;
  let rateTimer: ReturnType<typeof setInterval> | undefined;
  const snapshots: Snapshot[] = [
    {
      snapshot: '1',
      name: 'after boot',
      virtualNs: 3e9,
      takenAtMs: Date.now() - 90_000,
      sizeBytes: 31_000_000,
      parent: null,
    },
  ];
  const sessions: Session[] = [fakeSession.about];
  const terminals = new Map<string, { terminal: Terminal; backlog: string }>();
  const prompt = 'root@ringside:~# ';
  const boot =
    '[    0.000000] Linux version 6.1.0-ringside x86_64\r\n[    0.004210] Memory: 238964K/262144K available\r\n[    0.031877] smp: Brought up 1 node, 2 CPUs\r\n[    0.090112] EXT4-fs (vda): mounted filesystem\r\n[    0.118430] Run /sbin/init as init process\r\n\r\nRingside base, Debian 12 userland\r\n\r\n';
  terminals.set('tty1', {
    terminal: { terminal: 'tty1', title: 'tty1', kind: 'tty', ended: null },
    backlog: `${boot}${prompt}`,
  });
  terminals.set('tty2', {
    terminal: { terminal: 'tty2', title: 'tty2', kind: 'tty', ended: null },
    backlog: '\r\nringside login: ',
  });
  let execs = 0;

  function emit<N extends EventName>(name: N, topic: string, event: EventOf<N>): void {
    for (const connection of connections) connection.emit(name, topic, event);
  }
  function report(): MachineReport {
    const { frame } = machine;
    return {
      machine: open ?? '',
      name: (open ?? '').replace('.ringside', ''),
      status: machine.running ? 'running' : 'paused',
      reason: null,
      virtualNs: frame.virtualNs,
      hostRatio: machine.running ? 0.97 : 0,
      pace: 'live',
      loads: frame.loads,
      cpus: 2,
      memoryBytes: MEMORY,
      memoryUsedBytes: Math.round(Math.max(0, MEMORY - frame.memory.freeBytes)),
      swapBytes: SWAP,
      swapUsedBytes: Math.round(frame.swap.usedBytes),
      diskBytesPerSecond: 1_250_000,
      seed: 1,
      savedAtMs,
      recording,
    };
  }
  const changed = () => open !== null && emit('machine.report', open, report());
  setInterval(() => machine.running && changed(), 250).unref();
  function print(name: string, output: string): void {
    const entry = terminals.get(name);
    if (entry === undefined || open === null) return;
    entry.backlog = (entry.backlog + output).slice(-65536);
    emit('terminal.output', open, { terminal: name, bytes: text(output) });
  }
  const infoOf = (path: string): FileInfo => {
    const content = files.get(path);
    if (content === undefined) throw new ProtocolError('ENOENT', `${path} does not exist.`);
    const name = path.slice(path.lastIndexOf('/') + 1);
    return {
      name,
      kind: content === null ? 'directory' : 'file',
      sizeBytes: content?.length ?? 4096,
      mode: content === null ? 0o755 : 0o644,
      uid: 0,
      gid: 0,
      modifiedNs: 0,
      target: null,
      opensAsDirectory: content === null,
    };
  };

  const handlers: Partial<Handlers> = {
    'app.info': () => ({
      version: '0.1.0',
      shell: 'browser',
      platform: 'linux',
      node: '26.0',
      libraryFolder: '/home/user/Ringside',
      features: [],
      missing: [],
    }),
    'settings.get': ({ key }) => ({ value: settings.get(key) ?? null }),
    'settings.set': ({ key, value }) => {
      if (value === null) settings.delete(key);
      else settings.set(key, value);
      return {};
    },
    'library.list': () => ({ folder: '/home/user/Ringside', machines }),
    'library.create': ({ settings: wanted }) => {
      machines.push({ ...newEntry(wanted.name), settings: wanted });
      return { machine: `${wanted.name}.ringside` };
    },
    'library.delete': ({ machine: name }) => {
      machines.splice(
        machines.findIndex((entry) => entry.machine === name),
        1,
      );
      return {};
    },
    'library.rename': ({ machine: name, name: next }) => {
      const entry = machines.find((known) => known.machine === name);
      if (entry !== undefined) entry.settings = { ...entry.settings, name: next };
      return { machine: name };
    },
    'image.list': () => ({
      images: [
        {
          name: 'base',
          title: 'base',
          about: 'Debian 12: busybox, tcc with the C library, a login.',
          state: imageReady ? 'ready' : 'missing',
          sizeBytes: 61_000_000,
          problem: null,
          programs: [
            { path: '/home/student/hello.c', title: 'hello.c', about: 'The first program: prints a line.' },
            {
              path: '/home/student/hog.c',
              title: 'hog.c',
              about: 'Uses more memory than there is: watch swap.',
            },
            {
              path: '/home/student/threads.c',
              title: 'threads.c',
              about: 'Four tasks that compete for two CPUs.',
            },
          ],
        },
      ],
    }),
    'image.build': async ({ name }, context) => {
      const steps = [
        'Fetching the package lists',
        'Unpacking libc6 2.36-9',
        'Unpacking tcc 0.9.27',
        'Writing the ext4 file system',
        'Checking the image',
      ];
      for (const [index, step] of steps.entries()) {
        context.progress({
          step,
          share: (index + 0.5) / steps.length,
          remainingMs: ((options.buildMs ?? 0) * (steps.length - index)) / steps.length,
        });
        await new Promise((resolve) => setTimeout(resolve, (options.buildMs ?? 0) / steps.length));
        if (context.signal.aborted) throw new ProtocolError('cancelled', 'The build was cancelled.');
      }
      imageReady = true;
      return {
        image: {
          name,
          title: name,
          about: '',
          state: 'ready',
          sizeBytes: 61_000_000,
          problem: null,
          programs: [],
        },
      };
    },
    'machine.open': ({ machine: name }) => {
      if (!machines.some((entry) => entry.machine === name))
        throw new ProtocolError(
          'not-found',
          'There is no such machine.',
          'It may have been moved; refresh the library.',
        );
      open = name;
      return { report: report() };
    },
    'machine.close': () => {
      open = null;
      return {};
    },
    'machine.start': () => {
      machine.running = true;
      changed();
      return { atNs: machine.frame.virtualNs };
    },
    'machine.pause': () => {
      machine.running = false;
      changed();
      return { atNs: machine.frame.virtualNs };
    },
    'machine.step': () => {
      machine.frame.virtualNs += 1000;
      changed();
      return { atNs: machine.frame.virtualNs };
    },
    'machine.save': () => {
      savedAtMs = Date.now();
      changed();
      return { savedAtMs };
    },
    'machine.telemetry': ({ rateHz }) => {
      clearInterval(rateTimer);
      const ns = Math.round(1e9 / Math.max(1, rateHz));
      for (let index = 0; machine.frame.virtualNs < 70e9; index++) {
        // a past for the charts, with memory running out near its end
        machine.hog = machine.frame.virtualNs > 55e9;
        const packet = encodeFrame(advance(machine, 200e6));
        for (const connection of connections) {
          connection.receive('{"kind":"seen","sequence":0}');
          connection.sendFrame(packet);
        }
      }
      rateTimer = setInterval(
        () => {
          if (!machine.running) return;
          const packet = encodeFrame(advance(machine, ns));
          for (const connection of connections) connection.sendFrame(packet);
        },
        1000 / Math.max(1, rateHz),
      ).unref();
      return {};
    },
    'snapshot.list': () => ({ snapshots }),
    'snapshot.save': ({ name }) => {
      const snapshot: Snapshot = {
        snapshot: String(snapshots.length + 1),
        name,
        virtualNs: machine.frame.virtualNs,
        takenAtMs: Date.now(),
        sizeBytes: 4_000_000,
        parent: '1',
      };
      snapshots.push(snapshot);
      if (open !== null) emit('snapshots.changed', open, {});
      return { snapshot };
    },
    'terminal.list': () => ({ terminals: [...terminals.values()].map((entry) => entry.terminal) }),
    'terminal.open': ({ terminal }) => {
      const entry = terminals.get(terminal);
      if (entry === undefined) throw new ProtocolError('not-found', 'This terminal is gone.');
      return { terminal: entry.terminal, backlog: text(entry.backlog) };
    },
    'terminal.input': ({ terminal, bytes }) => {
      const typed = new TextDecoder().decode(bytes);
      print(terminal, typed === '\r' ? `\r\n${prompt}` : typed === '\x7f' ? '\b \b' : typed);
      return {};
    },
    'terminal.resize': () => ({}),
    'terminal.close': ({ terminal }) => {
      terminals.delete(terminal);
      return {};
    },
    'terminal.exec': ({ argv }) => {
      const name = `exec${++execs}`;
      const terminal: Terminal = {
        terminal: name,
        title: argv[0] ?? `sh ${execs}`,
        kind: 'exec',
        ended: null,
      };
      terminals.set(name, { terminal, backlog: prompt });
      return { terminal, pid: 60 + execs };
    },
    'files.list': ({ path }) => {
      const below = path === '/' ? '/' : `${path}/`;
      const names = [...files.keys()].filter(
        (known) => known !== '/' && known.startsWith(below) && !known.slice(below.length).includes('/'),
      );
      return { entries: names.map(infoOf) };
    },
    'files.read': ({ path }) => {
      const content = files.get(path);
      if (content == null) throw new ProtocolError('ENOENT', `${path} does not exist in the guest.`);
      return { bytes: content };
    },
    'files.write': ({ path, bytes }) => {
      files.set(path, bytes);
      return {};
    },
    'files.mkdir': ({ path }) => {
      files.set(path, null);
      return {};
    },
    'files.remove': ({ path }) => {
      files.delete(path);
      return {};
    },
    'files.find': ({ text: wanted, limit }) => ({
      paths: [...files]
        .filter(([path, content]) => content !== null && path.includes(wanted))
        .map(([path]) => path)
        .slice(0, limit),
    }),
    'program.run': async ({ path, text: source, terminal }) => {
      if (source !== undefined) files.set(path, text(source));
      await new Promise((resolve) => setTimeout(resolve, 150));
      const lines = (source ?? '').split('\n');
      const wrong = lines.findIndex((line) => /^\s+(printf|return)\b.*[^;{]$/.test(line));
      const command = `tcc -g -o /tmp/a.out ${path} && /tmp/a.out`;
      if (wrong >= 0) {
        const message = `${path}:${wrong + 2}: error: ';' expected (got "return")`;
        return {
          started: false,
          command,
          terminal: null,
          diagnostics: [
            {
              file: path,
              line: wrong + 2,
              column: 0,
              severity: 'error',
              text: '\';\' expected (got "return")',
            },
          ],
          compilerOutput: message,
        };
      }
      const name = terminal ?? `exec${++execs}`;
      const record: Terminal = {
        terminal: name,
        title: path.slice(path.lastIndexOf('/') + 1),
        kind: 'exec',
        ended: null,
      };
      terminals.set(name, { terminal: record, backlog: `$ ${command}\r\n` });
      setTimeout(() => {
        print(name, 'Hello from the ring.\r\n');
        const ended = { ...record, ended: 0 };
        const entry = terminals.get(name);
        if (entry !== undefined) entry.terminal = ended;
        if (open !== null) emit('terminal.changed', open, { terminal: ended });
      }, 300);
      return { started: true, command, terminal: record, diagnostics: [], compilerOutput: '' };
    },
    'task.inspect': ({ tid }) => {
      const task = machine.tasks.find((known) => known.tid === tid);
      if (task === undefined) throw new ProtocolError('ESRCH', 'The task has ended.');
      const names = [
        'rax',
        'rbx',
        'rcx',
        'rdx',
        'rsi',
        'rdi',
        'rbp',
        'rsp',
        'r8',
        'r9',
        'r10',
        'r11',
        'r12',
        'r13',
        'r14',
        'r15',
        'rip',
        'rflags',
      ];
      return {
        task: {
          ...task,
          commandLine: [`/usr/bin/${task.comm}`],
          executable: `/usr/bin/${task.comm}`,
          workingDirectory: '/home/student',
          waitChannel: task.state === 'S' ? 'do_wait' : null,
          priority: 20,
          affinity: [0, 1],
          vruntimeNs: task.userNs,
          voluntarySwitches: 812,
          involuntarySwitches: 77,
          gid: task.uid,
          processGroup: task.pid,
          session: 40,
          terminal: 'tty1',
          startedNs: 2.4e9,
          registers: Object.fromEntries(
            names.map((name, index) => [name, `0x${(index * 7919 + tid).toString(16).padStart(16, '0')}`]),
          ),
          signals: {
            pending: '0000000000000000',
            blocked: '0000000000010000',
            ignored: '0000000000384004',
            caught: '0000000000010002',
          },
          maps: [
            ['0x400000', '0x401000', 'r-xp', 0, `/usr/bin/${task.comm}`],
            ['0x601000', '0x602000', 'rw-p', 4096, `/usr/bin/${task.comm}`],
            ['0x7f31c000', '0x7f33d000', 'rw-p', 0, '[heap]'],
            ['0x7ffd1000', '0x7ffd3000', 'rw-p', 0, '[stack]'],
          ].map(([start, end, permissions, offset, path]) => ({
            start: String(start),
            end: String(end),
            permissions: String(permissions),
            offsetBytes: Number(offset),
            path: String(path),
            residentBytes: 8192,
            swappedBytes: 0,
          })),
          files: [0, 1, 2].map((fd) => ({
            fd,
            path: '/dev/tty1',
            kind: 'char',
            offsetBytes: 0,
            flags: 'O_RDWR',
          })),
          more: { 'thread info': '0xffff888003c1a000' },
        },
      };
    },
    'process.signal': () => ({}),
    'memory.frames': ({ cells }) => {
      const owners = ['free', 'anonymous', 'page cache', 'slab', 'page tables', 'kernel'];
      const map = Uint8Array.from({ length: cells }, (_, index) =>
        index < 140
          ? 5
          : index % 97 === 0
            ? 4
            : index % 31 < 2
              ? 3
              : index < 800
                ? 2
                : index < 800 + (machine.frame.memory.anonymousBytes / MEMORY) * cells
                  ? 1
                  : 0,
      );
      return { framesPerCell: MEMORY / 4096 / cells, owners, map };
    },
    'memory.cachedFiles': () => ({
      files: ['/lib/x86_64-linux-gnu/libc.so.6', '/bin/busybox', '/usr/bin/tcc', '/home/student/hello.c'].map(
        (path, index) => ({
          path,
          sizeBytes: 2_000_000 >> index,
          cachedPages: 480 >> index,
          dirtyPages: index === 3 ? 1 : 0,
          writebackPages: 0,
        }),
      ),
    }),
    'sessions.list': () => ({ sessions }),
    'sessions.start': ({ name }) => {
      recording = { session: 's2', name, sinceNs: machine.frame.virtualNs, events: 0 };
      changed();
      return { session: 's2' };
    },
    'sessions.stop': () => {
      recording = null;
      changed();
      return { session: fakeSession.about };
    },
    'sessions.describe': () => ({ session: fakeSession }),
    'sessions.read': ({ fromNs, toNs, pixels, series, lanes }) => ({
      series: readSeries(series, fromNs, toNs, pixels),
      lanes: lanes ? readLanes(fromNs, toNs, pixels) : [],
    }),
    'sessions.events': ({ fromNs, offset, limit }) => ({
      total: 5_000_000,
      rows: readEvents(fromNs, offset, limit),
    }),
    'sessions.sums': ({ fromNs, toNs }) => ({ sums: readSums(fromNs, toNs) }),
    'sessions.export': ({ format }) => ({
      fileName: `session.${format === 'csv' ? 'csv' : 'perfetto-trace'}`,
      mediaType: 'application/octet-stream',
      bytes: text('made up'),
    }),
  };

  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://x').pathname;
    try {
      const body = readFileSync(join(root, path === '/' ? 'index.html' : path));
      response
        .writeHead(200, { 'content-type': types[extname(path === '/' ? '.html' : path)] ?? 'text/html' })
        .end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  new WebSocketServer({ server, path: '/ws' }).on('connection', (socket) => {
    const end = hostEnd((packet) => socket.send(packet), dispatchTo(handlers));
    connections.add(end);
    socket.on('message', (data: Buffer, isBinary: boolean) =>
      end.receive(isBinary ? new Uint8Array(data) : data.toString('utf8')),
    );
    socket.on('close', () => {
      connections.delete(end);
      end.close();
    });
  });
  server.listen(port, '127.0.0.1');
  return { server, machine, settings, emit, connections };
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  startFakeLab(Number(process.argv[2] ?? 7799), { withMachine: true });
