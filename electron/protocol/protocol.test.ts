/** The protocol against itself: checks, envelopes, frames, and the two ends of a connection. */
import { describe, expect, it } from 'vitest';
import { array, integer, nullable, object, optional, string, ProtocolError } from './codec.ts';
import { decodeFrame, emptyFrame, encodeFrame } from './frames.ts';
import type { TelemetryFrame } from './frames.ts';
import { dispatchTo, hostEnd } from './host-end.ts';
import type { Dispatch } from './host-end.ts';
import { screenEnd } from './screen-end.ts';
import { decodeToHost, decodeToScreen, encodeEnvelope } from './transport.ts';
import type { Packet } from './transport.ts';

describe('checks', () => {
  const point = object({ x: integer(0, 9), name: optional(string(5)), tags: array(nullable(string()), 2) });
  it.each([
    ['a missing field', { tags: [] }, 'point.x: expected a whole number from 0 to 9, got undefined'],
    ['a number out of range', { x: 10, tags: [] }, 'point.x: expected a whole number'],
    ['a long string', { x: 1, name: 'abcdef', tags: [] }, 'point.name'],
    ['a wrong entry', { x: 1, tags: ['a', 2] }, 'point.tags[1]'],
    ['a long list', { x: 1, tags: [null, null, null] }, 'point.tags'],
    ['a list for an object', [], 'point: expected an object with x, name, tags, got a list'],
    ['a column for an object', new Uint8Array(2), 'point: expected an object'],
  ])('refuse %s', (_case, value, message) => {
    expect(() => point.parse(value, 'point')).toThrow(message);
  });
  it('keep known fields only', () => {
    expect(point.parse({ x: 1, tags: [null], more: 1 }, 'point')).toEqual({ x: 1, tags: [null] });
  });
});

describe('envelopes', () => {
  it('carry columns of every type at odd offsets', () => {
    const answer = {
      a: new Uint8Array([1, 2, 3]),
      b: [{ c: new Float64Array([0.5, -1e300]) }, new Int32Array([-7])],
      d: null,
      e: new Uint8Array(0),
    };
    const packet = encodeEnvelope({ kind: 'answer', id: 3, answer });
    const shifted = new Uint8Array(packet.length + 1);
    if (typeof packet !== 'string') shifted.set(packet, 1);
    expect(decodeToScreen(shifted.subarray(1))).toEqual({ kind: 'answer', id: 3, answer });
  });
  it.each<[string, Packet]>([
    ['text that is not JSON', '{'],
    ['a JSON list', '[]'],
    ['an unknown kind', '{"kind":"hello"}'],
    ['a negative id', '{"kind":"ask","id":-1,"name":"app.info","ask":{}}'],
    ['an empty packet', new Uint8Array(0)],
    ['a long header', new Uint8Array([1, 255, 255, 255, 255])],
    [
      'a column beyond the end',
      binary('{"kind":"ask","id":1,"name":"x","ask":{"$binary":["f64",0,1000000]}}'),
    ],
    ['a column before the start', binary('{"kind":"ask","id":1,"name":"x","ask":{"$binary":["f64",-8,1]}}')],
  ])('refuse %s', (_case, packet) => {
    expect(() => decodeToHost(packet)).toThrow(ProtocolError);
  });
});

function binary(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  return new Uint8Array([1, text.length, 0, 0, 0, ...text]);
}

function fullFrame(): TelemetryFrame {
  const task = { tid: 7, comm: 'sché', policy: 'fair', vruntimeNs: 2 ** 52, state: 'R' };
  const empty = emptyFrame();
  return {
    ...empty,
    sequence: 300,
    virtualNs: 12_345_678_901_234,
    hostRatio: 0.75,
    instructions: 2 ** 41,
    host: {
      busyNs: 2 ** 44,
      compilerOn: 0,
      compiledInstructions: 2 ** 41 - 1,
      regions: 128,
      regionsDropped: 127,
      wasmBytes: 2 ** 20,
      compileNs: 1,
    },
    cpus: [
      {
        userNs: 1,
        niceNs: 0,
        systemNs: 127,
        irqNs: 128,
        softirqNs: 16384,
        iowaitNs: 5,
        idleNs: 2 ** 40,
        contextSwitches: 9,
        migrationsIn: 1,
        running: task,
        queue: [task, task],
        queueLength: 2,
      },
    ],
    memory: { ...empty.memory, buddy: [1, 2, 3] },
    swap: { totalBytes: 4096, usedBytes: 1, map: new Uint8Array([0, 255]) },
    tasks: [],
    pressure: {
      ...empty.pressure,
      io: { some10: 0.1, some60: 1, someNs: 2, full10: 0, full60: 0, fullNs: 0 },
    },
    loads: [0.42, 1, 2],
  };
}

describe('frames', () => {
  it('come back as they were', () => {
    expect(decodeFrame(encodeFrame(fullFrame()))).toEqual(fullFrame());
    expect(decodeFrame(encodeFrame(emptyFrame()))).toEqual(emptyFrame());
  });
  it('cut anywhere are refused', () => {
    const packet = encodeFrame(fullFrame());
    for (let length = 0; length < packet.length; length++) {
      expect(() => decodeFrame(packet.subarray(0, length))).toThrow(ProtocolError);
    }
  });
});

function connected(dispatch: Dispatch) {
  const screen = screenEnd((packet) => host.receive(packet));
  const host = hostEnd((packet) => queueMicrotask(() => screen.receive(packet)), dispatch);
  return { screen, host };
}

describe('a connection', () => {
  const info = {
    version: '1',
    shell: 'browser',
    platform: 'linux',
    node: '26',
    libraryFolder: '/x',
    features: [],
    missing: [],
  } as const;

  it('answers, reports progress and fails in words', async () => {
    const { screen } = connected(
      dispatchTo({
        'app.info': (_ask, context) => {
          context.progress({ step: 'half', share: 0.5, remainingMs: null });
          return { ...info, features: [], missing: [] };
        },
        'library.delete': () => {
          throw new ProtocolError('refused', 'The machine is open.', 'Close it first.');
        },
      }),
    );
    const steps: string[] = [];
    const answer = await screen.request('app.info', {}, { onProgress: (p) => steps.push(p.step) });
    expect(answer.version).toBe('1');
    expect(steps).toEqual(['half']);
    await expect(screen.request('library.delete', { machine: 'm' })).rejects.toMatchObject({
      code: 'refused',
      hint: 'Close it first.',
    });
    await expect(screen.request('image.list', {})).rejects.toMatchObject({ code: 'not-here' });
    await expect(screen.request('machine.open', { machine: 'x'.repeat(600) })).rejects.toMatchObject({
      code: 'bad-message',
    });
  });

  it('cancels', async () => {
    const { screen } = connected(
      dispatchTo({
        'image.list': (_ask, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(new ProtocolError('cancelled', 'Cancelled.')));
          }),
      }),
    );
    const controller = new AbortController();
    const asked = screen.request('image.list', {}, { signal: controller.signal });
    controller.abort();
    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('sends events to those who follow, until they leave', async () => {
    const { screen, host } = connected(dispatchTo({}));
    const got: number[] = [];
    const stop = screen.subscribe('terminal.output', 'm', (event) => got.push(event.bytes.length));
    host.emit('terminal.output', 'm', { terminal: 'tty1', bytes: new Uint8Array(3) });
    host.emit('terminal.output', 'other', { terminal: 'tty1', bytes: new Uint8Array(4) });
    await Promise.resolve();
    stop();
    host.emit('terminal.output', 'm', { terminal: 'tty1', bytes: new Uint8Array(5) });
    await Promise.resolve();
    expect(got).toEqual([3]);
  });

  it('drops frames while the screen is behind', async () => {
    const { screen, host } = connected(dispatchTo({}));
    let seen = 0;
    screen.onFrame(() => seen++);
    const packet = encodeFrame(emptyFrame());
    expect([1, 2, 3].map(() => host.sendFrame(packet))).toEqual([true, true, false]);
    await Promise.resolve();
    expect(seen).toBe(2);
    expect(host.sendFrame(packet)).toBe(true);
  });
});
