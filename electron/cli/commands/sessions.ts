// record and session: recordings from the command line.
import { existsSync, writeFileSync } from 'node:fs';
import { openMachineFile, type MachineFile, type SessionChunk } from '../../../images/index.ts';
import { toCsv } from '../../worker/sessions/csv.ts';
import { toPerfetto } from '../../worker/sessions/perfetto.ts';
import { newRecorder, sampleIfDue, startRecording, stopRecording } from '../../worker/sessions/recorder.ts';
import { loadSession } from '../../worker/sessions/store.ts';
import { lanesOf, sumRange } from '../../worker/sessions/views.ts';
import { optionOf, UsageError } from '../arguments.ts';
import { print, type Command } from '../command.ts';
import { configOf, makeMachine } from '../settings.ts';
import { runInMachine, runOptions } from './run.ts';

export const record: Command = {
  usage: '[FILE | --image NAME] [options] --session NAME [--into FILE] -- CMD [ARG...]',
  about: 'runs a command and records a session of it',
  options: {
    ...runOptions,
    session: { value: 'NAME', about: 'what the session is called' },
    into: { value: 'FILE', about: 'the machine file that keeps it (needed with --image)' },
  },
  async run(args) {
    const name = optionOf(args, 'session');
    if (name === undefined) throw new UsageError('The session needs a name: --session NAME.');
    const into = optionOf(args, 'into');
    if (into === undefined && args.words.length === 0)
      throw new UsageError('Say which machine file keeps the session: --into FILE.');
    const recorder = newRecorder();
    let recorded: { info: ReturnType<MachineFile['readSession']>['info']; chunks: SessionChunk[] } | null =
      null;
    const { status } = await runInMachine(args, {
      before: (machine) => {
        startRecording(recorder, machine, name);
        machine.engine.afterPortion = () => sampleIfDue(recorder, machine);
      },
      after: (machine) => {
        stopRecording(recorder, machine);
        if (into !== undefined) recorded = machine.file.readSession(name);
      },
    });
    if (into !== undefined && recorded !== null) {
      const { info, chunks } = recorded;
      const file = existsSync(into) ? openMachineFile(into) : await makeMachine(into, configOf(args, name));
      try {
        file.saveSession(info, chunks);
      } finally {
        file.close();
      }
    }
    return status;
  },
};

export const session: Command = {
  usage: 'FILE list|show|export [NAME] [--format perfetto|csv] [-o OUT]',
  about: 'lists, shows and exports recorded sessions',
  options: {
    format: { value: 'perfetto|csv', about: 'what to export (default: perfetto)' },
    out: { value: 'OUT', about: 'where to (default: standard output)' },
  },
  run(args) {
    const [path = '', verb = '', name] = args.words;
    const file = openMachineFile(path, { readOnly: true });
    try {
      if (verb === 'list') {
        for (const info of file.listSessions())
          print(`${info.name}\t${((info.endNs - info.startNs) / 1e9).toFixed(3)} s`);
        return 0;
      }
      if (name === undefined || (verb !== 'show' && verb !== 'export'))
        throw new UsageError('Write: FILE list|show|export [NAME].');
      const found = loadSession(file, name);
      if (verb === 'show') {
        const sums = sumRange(found, lanesOf(found), found.startNs, found.endNs);
        print(
          `${name}: ${((found.endNs - found.startNs) / 1e9).toFixed(6)} s of virtual time, ${found.cpus} CPUs, ${found.meta.eventCount} events, ${found.series.length} series`,
        );
        for (const task of sums.tasks.slice(0, 20))
          print(
            `  ${String(task.tid).padStart(6)} ${task.comm.padEnd(16)} ran ${(task.runNs / 1e6).toFixed(3).padStart(12)} ms, waited ${(task.waitNs / 1e6).toFixed(3).padStart(10)} ms, ${task.switches} slices`,
          );
        for (const event of sums.events) print(`  ${event.name.padEnd(40)} ${event.count}`);
        return 0;
      }
      const format = optionOf(args, 'format') ?? 'perfetto';
      if (format !== 'perfetto' && format !== 'csv')
        throw new UsageError(`--format ${format}: write perfetto or csv.`);
      const bytes = format === 'csv' ? new TextEncoder().encode(toCsv(found)) : toPerfetto(found);
      const out = optionOf(args, 'out');
      if (out === undefined) process.stdout.write(bytes);
      else writeFileSync(out, bytes);
      return 0;
    } finally {
      file.close();
    }
  },
};
