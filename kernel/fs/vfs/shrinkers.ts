// What mm may take from the dentry and inode caches when memory is short.
import { shrinkers } from '../../mm/reclaim.ts';
import { shrinkDentries } from './dentry.ts';
import { shrinkInodes } from './inode-cache.ts';

shrinkers['dentry'] = { count: (kernel) => kernel.vfs.dentries.size, scan: shrinkDentries };
shrinkers['inode_cache'] = { count: (kernel) => kernel.vfs.unusedInodes.size, scan: shrinkInodes };
