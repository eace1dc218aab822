// The door of the folder: importing it adds the terminals' and memory devices' drivers, devpts, and the console as a sink
// of the kernel log. What others call lies in terminals.ts, host-terminal.ts and job-control.ts.
import './console-log.ts';
import './devices.ts';
import './devpts.ts';
