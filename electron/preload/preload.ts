// The bridge between the sandboxed page and the main process: packets in, packets out, nothing else. Built into one
// CommonJS file (dist/preload.cjs), as a sandboxed preload must be.
import { contextBridge, ipcRenderer, type IpcRendererEvent } from 'electron';
import type { Packet } from '../protocol/transport.ts';

contextBridge.exposeInMainWorld('ringside', {
  send: (packet: Packet) => ipcRenderer.send('packet', packet),
  onMessage: (listener: (packet: Packet) => void) => {
    ipcRenderer.on('packet', (_event: IpcRendererEvent, packet: Packet) => listener(packet));
    ipcRenderer.send('ready');
  },
  onClose: (listener: () => void) => {
    ipcRenderer.on('closed', () => listener());
  },
});
