// devpts: the file system whose names are the slaves of ptys (Documentation/filesystems/devpts). One instance for the
// machine. Owner and mode of a slave stand in its pty; options gid= and mode= say what a new one gets.
import { EINVAL, EIO, ENOENT, failed, type Failure } from '../abi/errno.ts';
import { makeDevice } from '../abi/device.ts';
import { O } from '../abi/open-flags.ts';
import { newInode, newSuperBlock, superBlockOf } from '../fs/vfs/inode-cache.ts';
import { inodeOperations, type DirectoryEntry, type Inode } from '../fs/vfs/inode.ts';
import { installFile } from '../fs/vfs/file-table.ts';
import { openPath } from '../fs/vfs/open.ts';
import { putFile } from '../fs/vfs/open-file.ts';
import { fileSystemTypes, type MountRequest, type SuperBlock } from '../fs/vfs/super-block.ts';
import type { Kernel } from '../state.ts';
import { openPeer } from './pty.ts';
import { TTYAUX_MAJOR, type Terminal } from './state.ts';

const MAGIC = 0x1cd1;
const ROOT_INODE = 1;
const PTMX_INODE = 2;
const FIRST_SLAVE_INODE = 3;

/** What new slaves get, and the mode of the instance's own ptmx. */
interface PtsOptions {
  gid: number | null;
  mode: number;
  ptmxMode: number;
}

const optionsOf = (superBlock: SuperBlock): PtsOptions => superBlock.data as PtsOptions;

function parseOptions(text: string): PtsOptions | Failure {
  const options: PtsOptions = { gid: null, mode: 0o600, ptmxMode: 0 };
  for (const word of text.split(',')) {
    const [name = '', value = ''] = word.split('=');
    if (name === 'gid' && /^\d+$/.test(value)) options.gid = Number(value);
    else if (name === 'mode' && /^[0-7]+$/.test(value)) options.mode = parseInt(value, 8) & 0o7777;
    else if (name === 'ptmxmode' && /^[0-7]+$/.test(value)) options.ptmxMode = parseInt(value, 8) & 0o7777;
    else if (name === 'uid' || name === 'max' || name === 'newinstance' || name === '') continue;
    else return EINVAL;
  }
  return options;
}

function shownOptions({ gid, mode, ptmxMode }: PtsOptions): string {
  return `${gid === null ? '' : `,gid=${gid}`},mode=${mode.toString(8).padStart(3, '0')},ptmxmode=${ptmxMode.toString(8).padStart(3, '0')}`;
}

function mount(kernel: Kernel, request: MountRequest): SuperBlock | Failure {
  const options = parseOptions(request.options);
  if (failed(options)) return options;
  for (const known of kernel.vfs.superBlocks.values()) if (known.fs === 'devpts') return known;
  const superBlock = newSuperBlock(kernel, {
    fs: 'devpts',
    source: 'devpts',
    data: options,
    options: shownOptions(options),
  });
  const root = newInode(kernel, superBlock, { number: ROOT_INODE, kind: 'directory', mode: 0o755 });
  if (failed(root)) return root;
  root.linkCount = 2;
  superBlock.root = root;
  return superBlock;
}

function remount(_kernel: Kernel, superBlock: SuperBlock, request: MountRequest): number | Failure {
  const options = parseOptions(request.options);
  if (failed(options)) return options;
  superBlock.data = options;
  superBlock.options = shownOptions(options);
  return 0;
}

function slaves(kernel: Kernel): Terminal[] {
  return [...kernel.tty.terminals.values()]
    .filter(({ driver }) => driver === 'pts')
    .sort((a, b) => a.index - b.index);
}

function lookup(kernel: Kernel, directory: Inode, name: string): Inode | Failure {
  const superBlock = superBlockOf(kernel, directory);
  const options = optionsOf(superBlock);
  if (name === 'ptmx') {
    return newInode(kernel, superBlock, {
      number: PTMX_INODE,
      kind: 'char',
      mode: options.ptmxMode,
      device: makeDevice(TTYAUX_MAJOR, 2),
    });
  }
  const terminal = kernel.tty.terminals.get(`pts/${name}`);
  if (terminal?.pty == null) return ENOENT;
  const { pty, device, index } = terminal;
  if (!pty.owned) {
    pty.owned = true;
    pty.mode = options.mode;
    if (options.gid !== null) pty.gid = options.gid;
  }
  const inode = newInode(kernel, superBlock, {
    number: FIRST_SLAVE_INODE + index, kind: 'char', mode: pty.mode, uid: pty.uid, gid: pty.gid, device, data: pty.createdNs,
  }); // prettier-ignore
  if (failed(inode)) return inode;
  inode.atimeNs = inode.mtimeNs = inode.ctimeNs = pty.createdNs;
  return inode;
}

function terminalOfInode(kernel: Kernel, inode: Inode): Terminal | undefined {
  const terminal = kernel.tty.terminals.get(`pts/${inode.number - FIRST_SLAVE_INODE}`);
  return terminal?.pty?.createdNs === inode.data ? terminal : undefined;
}

const operations = {
  lookup,
  readDirectory(kernel: Kernel, _directory: Inode, position: number, max: number): readonly DirectoryEntry[] {
    const entries: DirectoryEntry[] =
      position > 0 ? [] : [{ name: 'ptmx', inode: PTMX_INODE, kind: 'char', next: 1 }];
    for (const { index } of slaves(kernel)) {
      if (entries.length >= max) break;
      if (index + 2 > position)
        entries.push({
          name: String(index),
          inode: FIRST_SLAVE_INODE + index,
          kind: 'char',
          next: index + 2,
        });
    }
    return entries;
  },
  revalidate(kernel: Kernel, _directory: Inode, _name: string, inode: Inode | null): boolean {
    if (inode === null) return false;
    return inode.number === PTMX_INODE || terminalOfInode(kernel, inode) !== undefined;
  },
  /** chmod and chown of a slave last as long as its pty. */
  setAttributes(kernel: Kernel, inode: Inode): number {
    const pty = terminalOfInode(kernel, inode)?.pty;
    if (!pty) return 0;
    pty.uid = inode.uid;
    pty.gid = inode.gid;
    pty.mode = inode.mode;
    return 0;
  },
};

inodeOperations['devpts'] = operations;
fileSystemTypes['devpts'] = { name: 'devpts', needsDevice: false, magic: MAGIC, mount, remount };

openPeer.open = (kernel, task, terminal, flags) => {
  const file = openPath(
    kernel,
    task,
    null,
    `/dev/${terminal.name}`,
    flags & (O.ACCMODE | O.NOCTTY | O.NONBLOCK),
  );
  if (failed(file)) return file === ENOENT ? EIO : file;
  const fd = installFile(kernel, task, file, (flags & O.CLOEXEC) !== 0);
  if (failed(fd)) putFile(kernel, file);
  return fd;
};
