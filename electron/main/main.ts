// Electron's main process: one window on the hub. All work is in the hub and its worker threads; this is the shell.
import { join, resolve } from 'node:path';
import { app, ipcMain, Menu, type WebContents } from 'electron';
import type { HostEnd } from '../protocol/host-end.ts';
import type { Packet } from '../protocol/transport.ts';
import { createHub } from '../server/hub.ts';
import { CONTENT_SECURITY_POLICY } from '../server/http-server.ts';
import { dataFolders } from '../server/folders.ts';
import { declareScheme, LAB_ADDRESS, openWindow, servePage } from './window.ts';

const root = resolve(import.meta.dirname, '../..');

declareScheme();
if (app.requestSingleInstanceLock()) void start();
else app.quit();

async function start(): Promise<void> {
  await app.whenReady();
  servePage(join(root, 'dist/renderer'), CONTENT_SECURITY_POLICY);
  const hub = createHub({
    shell: 'electron',
    version: app.getVersion(),
    features: ['dialogs', 'reveal'],
    ...dataFolders(),
  });
  const ends = new Map<number, HostEnd>();

  const endOf = (sender: WebContents): HostEnd => {
    const known = ends.get(sender.id);
    if (known !== undefined) return known;
    const end = hub.connect((packet) => {
      if (!sender.isDestroyed()) sender.send('packet', packet);
    });
    ends.set(sender.id, end);
    sender.once('destroyed', () => {
      ends.delete(sender.id);
      end.close();
    });
    return end;
  };
  const isOurs = (url: string): boolean => url.startsWith(LAB_ADDRESS);
  ipcMain.on('ready', (event) => {
    if (isOurs(event.senderFrame?.url ?? '')) endOf(event.sender);
  });
  ipcMain.on('packet', (event, packet: Packet) => {
    if (isOurs(event.senderFrame?.url ?? '')) endOf(event.sender).receive(packet);
  });

  Menu.setApplicationMenu(
    Menu.buildFromTemplate([
      { role: 'appMenu' },
      { role: 'editMenu' },
      { role: 'viewMenu' },
      { role: 'windowMenu' },
    ]),
  );
  const preload = join(root, 'dist/preload.cjs');
  let window = openWindow(preload);
  app.on('second-instance', () => window.focus());
  app.on('activate', () => {
    if (window.isDestroyed()) window = openWindow(preload);
  });
  app.on('window-all-closed', () => app.quit());
  let closed = false;
  app.on('before-quit', (event) => {
    if (closed) return;
    event.preventDefault(); // machines are saved first
    void hub.close().finally(() => {
      closed = true;
      app.quit();
    });
  });
}
