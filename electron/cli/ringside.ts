// `ringside …`: everything that the screen can do, without one. Exit statuses: the command's own, 124 on timeout, 125 when
// Ringside itself could not.
import { parseArguments, UsageError } from './arguments.ts';
import { EXIT_FAILED, print, say, usageOf, type Command } from './command.ts';
import { commands } from './commands/index.ts';

async function main(line: readonly string[]): Promise<number> {
  const [name = 'help', ...rest] = line;
  if (name === 'help' || name === '--help' || name === '-h') {
    print(
      rest[0] !== undefined && commands[rest[0]] !== undefined
        ? usageOf(rest[0], commands[rest[0]] as Command)
        : overview(),
    );
    return 0;
  }
  const command = commands[name];
  if (command === undefined) {
    say(`there is no command "${name}".\n${overview()}`);
    return EXIT_FAILED;
  }
  if (rest[0] === '--help') {
    print(usageOf(name, command));
    return 0;
  }
  try {
    return await command.run(parseArguments(rest, command.options, `Type: ringside ${name} --help`));
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    if (
      !(error instanceof Error) ||
      (process.env['RINGSIDE_DEBUG'] !== undefined && !(error instanceof UsageError))
    )
      console.error(error);
    return EXIT_FAILED;
  }
}

function overview(): string {
  const lines = Object.entries(commands).map(
    ([name, { usage, about }]) => `  ${`${name} ${usage}`.padEnd(60)} ${about}`,
  );
  return [
    'Usage: npm run -s ringside -- COMMAND …',
    '',
    ...lines,
    '',
    'ringside COMMAND --help shows the options.',
  ].join('\n');
}

// A reader that has enough (`… | head`) ends the run as it ends any other program.
process.stdout.on('error', () => process.exit(0));
process.exitCode = await main(process.argv.slice(2));
process.stdin.unref?.();
