// The door of the folder: importing it declares every file of /proc and /sys and adds both file-system types.
import './file-system.ts';
import './processes.ts';
import './task-stat.ts';
import './task-memory.ts';
import './task-files.ts';
import './task-misc.ts';
import './system.ts';
import './sysctl.ts';
import './memory.ts';
import './block.ts';
import './cpu.ts';
import './network.ts';
import './locks.ts';
import './sysfs.ts';
