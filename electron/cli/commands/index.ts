// Every command by name.
import type { Command } from '../command.ts';
import { create, disk, get, info, put, snapshot } from './machine-files.ts';
import { open } from './open.ts';
import { run } from './run.ts';
import { record, session } from './sessions.ts';
import { images, instructions, points, syscalls } from './tables.ts';

export const commands: Readonly<Record<string, Command>> = {
  new: create, run, open, info, put, get, snapshot, disk, record, session, images, syscalls, instructions, tracepoints: points,
}; // prettier-ignore
