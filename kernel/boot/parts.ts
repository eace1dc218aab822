// Everything that announces itself in a table when it is loaded: file systems, devices, kernel threads, file operations.
// The order is that of the layers, so that tables fill the same way in every run.
import '../mm/flusher.ts';
import '../mm/kswapd.ts';
import '../fs/index.ts';
import '../tty/index.ts';
import '../ipc/index.ts';
import '../net/index.ts';
import '../process/doors.ts';
import '../procfs/index.ts';
