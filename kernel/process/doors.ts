// Fills the tables of lower folders that need what process/ and mm/ do.
import { readUser, writeUser, faultInUser } from '../mm/user-memory.ts';
import { ways } from '../signal/ways.ts';
import { exitGroup, exitTask } from './exit.ts';

ways.endThread = exitTask;
ways.endProcess = exitGroup;
ways.dumpCore = () => false;
ways.readUser = readUser;
ways.writeUser = writeUser;
ways.faultInUser = faultInUser;
