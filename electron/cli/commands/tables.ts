// images, syscalls, instructions, tracepoints: what is declared, as text or JSON.
import { buildImage, listImages } from '../../../images/index.ts';
import { instructionCoverage, syscallTable, tracepoints } from '../../../kernel/index.ts';
import { hasOption, UsageError } from '../arguments.ts';
import { print, say, type Command } from '../command.ts';

const json = { json: { value: '', about: 'as JSON' } } as const;

export const images: Command = {
  usage: 'list|build [NAME]',
  about: 'the base images; builds one from Debian packages',
  options: json,
  async run(args) {
    const [verb = 'list', name] = args.words;
    if (verb === 'list') {
      const found = listImages();
      if (hasOption(args, 'json')) print(JSON.stringify(found, null, 2));
      else
        for (const image of found)
          print(`${image.name}\t${image.built === undefined ? 'not built' : 'ready'}\t${image.description}`);
      return 0;
    }
    if (verb !== 'build') throw new UsageError('Write: images list, or images build NAME.');
    const controller = new AbortController();
    process.once('SIGINT', () => controller.abort(new Error('Stopped; what was fetched is kept.')));
    let last = '';
    const built = await buildImage(name ?? 'base', {
      signal: controller.signal,
      onProgress: ({ step, done, total, text }) => {
        const line =
          total > 1 && step === 'save' ? `${text} (${Math.floor((100 * done) / total / 10) * 10} %)` : text;
        if (line !== last) say(line);
        last = line;
      },
    });
    print(built.path);
    return 0;
  },
};

export const syscalls: Command = {
  usage: '[--json]',
  about: 'the system calls that there are, and what they lack',
  options: json,
  run(args) {
    const rows = syscallTable.flatMap((declaration) =>
      declaration === undefined
        ? []
        : [
            {
              number: declaration.number,
              name: declaration.name,
              arguments: Object.keys(declaration.args),
              missing: declaration.missing ?? null,
            },
          ],
    );
    if (hasOption(args, 'json')) print(JSON.stringify(rows, null, 2));
    else
      for (const { number, name, missing } of rows)
        print(`${String(number).padStart(3)} ${name}${missing === null ? '' : `\tmissing: ${missing}`}`);
    return 0;
  },
};

export const instructions: Command = {
  usage: '[--json]',
  about: 'the instructions that the CPU executes, and what they lack',
  options: json,
  run(args) {
    const rows = instructionCoverage();
    if (hasOption(args, 'json')) print(JSON.stringify(rows, null, 2));
    else
      for (const row of rows)
        print(
          `${row.mnemonic.padEnd(14)} ${row.forms} forms${row.missing === undefined ? '' : `\tmissing: ${row.missing}`}`,
        );
    return 0;
  },
};

export const points: Command = {
  usage: '[--json]',
  about: 'the tracepoints that can be recorded, with their fields',
  options: json,
  run(args) {
    const rows = tracepoints.map(({ system, name, fields }) => ({ system, name, fields }));
    if (hasOption(args, 'json')) print(JSON.stringify(rows, null, 2));
    else
      for (const { system, name, fields } of rows)
        print(`${system}:${name}\t${Object.keys(fields).join(' ')}`);
    return 0;
  },
};
