// The kernel command line: words that the kernel knows; others go to init, as arguments or, with a '=', as environment
// (init/main.c unknown_bootoption). Words with a dot are module parameters; what follows `--` is init's alone.
export interface CommandLine {
  readonly root: string; // block device's name without /dev/
  readonly rootFileSystem: string;
  readonly rootFlags: string;
  readonly readOnly: boolean;
  /** init=, or '' for the usual places. */
  readonly init: string;
  readonly initArguments: readonly string[];
  readonly initEnvironment: readonly string[];
}

const KNOWN = new Set([
  'console', 'quiet', 'debug', 'loglevel', 'panic', 'maxcpus', 'nosmp', 'norandmaps', 'rootwait', 'rootdelay', 'earlycon',
  'printk', 'mem', 'vga', 'BOOT_IMAGE', 'initrd', 'noinitrd', 'nokaslr',
]); // prettier-ignore

export function parseCommandLine(text: string): CommandLine {
  const found = {
    root: 'vda', rootFileSystem: 'ext4', rootFlags: '', readOnly: false, init: '', initArguments: [] as string[],
    initEnvironment: ['HOME=/', 'TERM=linux'],
  }; // prettier-ignore
  let toInit = false;
  for (const word of text.split(/\s+/)) {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    const value = equals < 0 ? '' : word.slice(equals + 1);
    if (word === '') continue;
    if (toInit) found.initArguments.push(word);
    else if (word === '--') toInit = true;
    else if (name === 'root') found.root = value.replace(/^\/dev\//, '');
    else if (name === 'rootfstype') found.rootFileSystem = value;
    else if (name === 'rootflags') found.rootFlags = value;
    else if (word === 'ro') found.readOnly = true;
    else if (word === 'rw') found.readOnly = false;
    else if (name === 'init') found.init = value;
    else if (KNOWN.has(name) || name.includes('.')) continue;
    else if (equals >= 0) setVariable(found.initEnvironment, name, word);
    else found.initArguments.push(word);
  }
  return found;
}

function setVariable(environment: string[], name: string, word: string): void {
  const index = environment.findIndex((entry) => entry.startsWith(`${name}=`));
  if (index < 0) environment.push(word);
  else environment[index] = word;
}
