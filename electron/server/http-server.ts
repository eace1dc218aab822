// The loopback server: the screen's files and its WebSocket, on 127.0.0.1 only. A page gets in with the token of the printed
// address; after that its cookie counts. Host and Origin are checked, so that no other site and no rebound name can reach it.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { extname, join, normalize, sep } from 'node:path';
import { WebSocketServer } from 'ws';
import { LARGEST_PACKET } from '../protocol/transport.ts';
import type { Hub } from './hub.ts';

export interface LoopbackServer {
  readonly port: number;
  /** Opens the lab: with the token in it. */
  readonly address: string;
  close(): Promise<void>;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml', '.png': 'image/png', '.woff2': 'font/woff2', '.ttf': 'font/ttf', '.json': 'application/json',
  '.wasm': 'application/wasm', '.map': 'application/json',
}; // prettier-ignore

export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:",
  "font-src 'self' data:", "worker-src 'self' blob:", "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
  "frame-ancestors 'none'",
].join('; '); // prettier-ignore

/** Serves `folder` and the hub; port 0 takes a free one. */
export async function startLoopbackServer(hub: Hub, folder: string, port = 0): Promise<LoopbackServer> {
  const token = randomBytes(24).toString('base64url');
  const server = createServer((request, response) => answer(request, response, folder, token));
  const sockets = new WebSocketServer({ noServer: true, maxPayload: LARGEST_PACKET });
  server.on('upgrade', (request, socket, head) => {
    if (
      !isOurs(request) ||
      request.headers.origin === undefined ||
      !hasToken(request, token) ||
      pathOf(request) !== '/ws'
    ) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const end = hub.connect((packet) => {
        if (webSocket.readyState === webSocket.OPEN) webSocket.send(packet);
      });
      webSocket.on('message', (data: Buffer, isBinary) =>
        end.receive(isBinary ? new Uint8Array(data) : data.toString('utf8')),
      );
      webSocket.on('close', () => end.close());
      webSocket.on('error', () => webSocket.terminate());
    });
  });
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(port, '127.0.0.1', done);
  });
  const bound = portOf(server);
  return {
    port: bound,
    address: `http://127.0.0.1:${bound}/?token=${token}`,
    async close() {
      for (const client of sockets.clients) client.terminate();
      await new Promise((done) => server.close(done));
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Host and Origin name this server and nothing else. */
function isOurs(request: IncomingMessage): boolean {
  const { host, origin } = request.headers;
  const port = request.socket.localPort;
  const names = [`127.0.0.1:${port}`, `localhost:${port}`];
  if (host === undefined || !names.includes(host)) return false;
  return origin === undefined || names.some((name) => origin === `http://${name}`);
}

const pathOf = (request: IncomingMessage): string => new URL(request.url ?? '/', 'http://x').pathname;
const COOKIE = 'ringside-token';

function hasToken(request: IncomingMessage, token: string): boolean {
  const fromUrl = new URL(request.url ?? '/', 'http://x').searchParams.get('token');
  const name = `${COOKIE}-${request.socket.localPort}`;
  const cookie = (request.headers.cookie ?? '').split('; ').find((pair) => pair.startsWith(`${name}=`));
  return [fromUrl, cookie?.slice(name.length + 1)].some((given) => isSame(given ?? '', token));
}

function isSame(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function answer(request: IncomingMessage, response: ServerResponse, folder: string, token: string): void {
  const refuse = (status: number, text: string): void => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
  };
  if (!isOurs(request)) return refuse(403, 'This server answers its own page only.');
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405, 'Only GET is answered here.');
  if (!hasToken(request, token))
    return refuse(401, 'Open the address that "npm start" has printed: it carries the token.');
  let name: string;
  try {
    name = normalize(decodeURIComponent(pathOf(request)));
  } catch {
    return refuse(400, 'This address cannot be read.');
  }
  const path = join(folder, name === '/' ? 'index.html' : name);
  if (!path.startsWith(folder + sep) || !existsSync(path) || !statSync(path).isFile())
    return refuse(404, 'There is no such file.');
  response.writeHead(200, {
    'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
    'content-length': statSync(path).size,
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': name.startsWith('/assets/') ? 'max-age=31536000, immutable' : 'no-store',
    'set-cookie': `${COOKIE}-${request.socket.localPort}=${token}; HttpOnly; SameSite=Strict; Path=/`,
  });
  if (request.method === 'HEAD') response.end();
  else createReadStream(path).pipe(response);
}
