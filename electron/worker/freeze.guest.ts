// Determinism is our own judge: a machine frozen at any instant and thawed elsewhere ends as one that was never stopped.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newRandom, randomBelow } from '../../kernel/lib/random.ts';
import {
  hashOf,
  runSimulation,
  simulate,
  simulationBase,
  thawedCopy,
  type SimulationBase,
} from './test-machine.ts';

const command = [
  'sh',
  '-c',
  'cd /root/examples; (ls -lR /etc | wc) & tcc -o /tmp/h hello.c && /tmp/h; wait; dd if=/dev/zero of=/root/f bs=4k count=200 2>&1; sync; md5sum /root/f; cat /proc/uptime',
];
const INSTANTS = 25;

describe('freeze and thaw', () => {
  let base: SimulationBase;
  beforeAll(async () => {
    base = await simulationBase();
  });
  afterAll(() => base.close());

  it(`ends the same from ${INSTANTS} instants, caches dropped at each`, () => {
    const straight = simulate(base, { command });
    const steps = runSimulation(straight);
    expect(straight.exitStatus).toBe(0);
    const random = newRandom(20);
    const instants = Array.from({ length: INSTANTS }, () => randomBelow(random, steps)).sort((a, b) => a - b);
    let stopped = simulate(base, { command });
    let at = 0;
    for (const instant of instants) {
      at += runSimulation(stopped, instant - at);
      stopped = thawedCopy(base, stopped);
    }
    runSimulation(stopped);
    expect(stopped.output).toBe(straight.output);
    expect(stopped.exitStatus).toBe(straight.exitStatus);
    expect(hashOf(stopped)).toBe(hashOf(straight));
  });

  it('saves a machine that goes on as if it had not been saved', () => {
    const straight = simulate(base, { seed: 5, command });
    const steps = runSimulation(straight);
    const watched = simulate(base, { seed: 5, command });
    runSimulation(watched, Math.floor(steps / 2));
    const copy = thawedCopy(base, watched);
    for (const one of [watched, copy]) {
      runSimulation(one);
      expect(hashOf(one)).toBe(hashOf(straight));
    }
  });
});
