import { expect, it } from 'vitest';
import { ENOEXEC } from '../abi/errno.ts';
import { parseScript } from './script.ts';

it.each([
  ['plain', '#!/bin/sh\n', '/bin/sh', ''],
  ['blanks around', '#! \t/bin/sh \t\necho', '/bin/sh', ''],
  ['one argument, blanks inside kept', '#!/usr/bin/env -S a  b \n', '/usr/bin/env', '-S a  b'],
  ['no newline at the end of a short file', '#!/bin/sh', '/bin/sh', ''],
  ['a NUL ends the line', '#!/bin/sh\0junk\n', '/bin/sh', ''],
  ['a long argument is cut', `#!/bin/sh ${'x'.repeat(300)}`.slice(0, 256), '/bin/sh', 'x'.repeat(246)],
])('reads %s', (_case, head, interpreter, argument) => {
  expect(parseScript(head)).toEqual({ interpreter, argument });
});

it.each([
  ['no #!', 'echo hello\n'],
  ['an empty line', '#!\n'],
  ['blanks only', '#!  \t \n/bin/sh'],
  ['an interpreter whose name may be cut', `#!/${'x'.repeat(300)}`.slice(0, 256)],
])('refuses %s', (_case, head) => {
  expect(parseScript(head)).toBe(ENOEXEC);
});
