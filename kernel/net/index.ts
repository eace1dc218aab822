// The door of the folder: importing it adds the file operations of sockets.
import './socket-file.ts';
