// Fills the tables of lower folders that need what process/ and mm/ do.
import { threadStarters } from '../fs/vfs/threads.ts';
import { readUser, writeUser, faultInUser } from '../mm/user-memory.ts';
import { ways } from '../signal/ways.ts';
import { exitGroup, exitTask } from './exit.ts';
import { startKernelThread } from './kernel-thread-start.ts';

ways.endThread = exitTask;
ways.endProcess = exitGroup;
ways.dumpCore = () => false;
ways.readUser = readUser;
ways.writeUser = writeUser;
ways.faultInUser = faultInUser;
threadStarters['process'] = startKernelThread;
