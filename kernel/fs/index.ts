// The file systems: importing this enters every type, with its operations, in vfs's tables. Another one is a folder beside
// these and a line here; the order is that of /proc/filesystems.
import '../block/device-pages.ts';
import './vfs/block-file.ts';
import './vfs/file-io.ts';
import './vfs/shrinkers.ts';
import './tmpfs/tmpfs.ts';
import './devtmpfs/devtmpfs.ts';
import './ext4/ext4.ts';
