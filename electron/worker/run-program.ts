// Run (Ctrl+Enter): saves the text, compiles it in the guest, starts the program on a terminal.
import { ProtocolError } from '../protocol/codec.ts';
import type { AnswerOf, AskOf } from '../protocol/requests.ts';
import { writeGuestFile } from './guest-files.ts';
import { startCommand, type OpenMachine } from './machine.ts';
import { commandText, readDiagnostics, recipeFor, shellWord } from './programs.ts';
import { closeTerminal, execOnTerminal, exitCodeOf, type TerminalList } from './terminals.ts';

/** Whose programs the editor runs. */
export const EDITOR_USER = 'root';

const folderOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf('/')));

export async function runProgram(
  list: TerminalList,
  ask: AskOf<'program.run'>,
): Promise<AnswerOf<'program.run'>> {
  const { machine } = list;
  const recipe = recipeFor(ask.path);
  if (recipe === null) {
    const hint = 'Files that end in .c, .s, .S, .sh or .py can be run.';
    throw new ProtocolError('refused', `${ask.path} is not a program that can be run.`, hint);
  }
  if (ask.text !== undefined) {
    await writeGuestFile(machine, ask.path, new TextEncoder().encode(ask.text), 0o644, EDITOR_USER);
    list.thread.emit('files.changed', list.topic, { directory: folderOf(ask.path) });
  }
  const command = commandText(recipe, ask.arguments);
  const compiled =
    recipe.compile === null
      ? { code: 0, output: '' }
      : await compile(machine, recipe.compile, folderOf(ask.path));
  const diagnostics = readDiagnostics(compiled.output, folderOf(ask.path));
  const answer = { command, diagnostics, compilerOutput: compiled.output };
  if (compiled.code !== 0) return { ...answer, started: false, terminal: null };
  if (ask.terminal !== undefined) closeTerminal(list, ask.terminal);
  const argv = [...recipe.run, ...ask.arguments];
  const terminal = execOnTerminal(list, {
    argv, user: EDITOR_USER, directory: folderOf(ask.path), columns: ask.columns, rows: ask.rows, title: argv.map(shellWord).join(' '),
  }); // prettier-ignore
  return { ...answer, started: true, terminal };
}

async function compile(
  machine: OpenMachine,
  argv: readonly string[],
  directory: string,
): Promise<{ code: number; output: string }> {
  const parts: Uint8Array[] = [];
  const compiler = startCommand(machine, {
    argv,
    user: EDITOR_USER,
    directory,
    output: (_stream, bytes) => void parts.push(bytes),
  });
  compiler.endInput();
  const code = exitCodeOf(await compiler.exited);
  const output = Buffer.concat(parts).toString('utf8');
  if (code === 127)
    throw new ProtocolError(
      'ENOENT',
      `${argv[0]} is not installed on this machine.`,
      'Use an image that has it.',
    );
  return { code, output };
}
