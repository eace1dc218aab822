// The one helper of the end-to-end tests: starts the lab in a folder of its own, and does what a person does, finding
// things by role and label.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  _electron,
  test as base,
  chromium,
  expect,
  type Browser,
  type ElectronApplication,
  type Locator,
  type Page,
} from '@playwright/test';

const root = resolve(import.meta.dirname, '..');
const electronBinary = join(root, 'node_modules/electron/dist/electron');
export const shells: readonly ('browser' | 'electron')[] = existsSync(electronBinary)
  ? ['browser', 'electron']
  : ['browser'];

const chromiumPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => existsSync(path),
);
const browserFlags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-3d-apis',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface NewMachine {
  readonly name?: string;
  readonly cpus?: number;
  readonly memoryMiB?: number;
}

export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), 'ringside-e2e-'));
  private page_: Page | undefined;
  private server: ChildProcess | undefined;
  private browser: Browser | undefined;
  private electron: ElectronApplication | undefined;
  private readonly shell: 'browser' | 'electron';

  constructor(shell: 'browser' | 'electron') {
    this.shell = shell;
  }

  get page(): Page {
    if (this.page_ === undefined) throw new Error('The lab is not started.');
    return this.page_;
  }

  private get environment(): Record<string, string> {
    const own = {
      RINGSIDE_LIBRARY: join(this.folder, 'library'),
      RINGSIDE_SETTINGS: join(this.folder, 'settings'),
      DISPLAY: process.env['DISPLAY'] ?? '',
    };
    return { ...(process.env as Record<string, string>), ...own };
  }

  /** Starts the lab; the second time it comes back as it was left. */
  async start(): Promise<void> {
    if (this.shell === 'electron') {
      this.electron = await _electron.launch({
        args: [root, '--no-sandbox'],
        env: this.environment,
        executablePath: electronBinary,
      });
      this.page_ = await this.electron.firstWindow();
      return;
    }
    const environment = { ...this.environment, DISPLAY: '', WAYLAND_DISPLAY: '', RINGSIDE_SHELL: 'browser' };
    this.server = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(root, 'electron/cli/start.ts')],
      { env: environment, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const { stdout } = this.server;
    if (stdout === null) throw new Error('The lab has no output.');
    const address = await new Promise<string>((done) =>
      stdout.once('data', (chunk: Buffer) => done(chunk.toString().trim())),
    );
    if (chromiumPath === undefined) throw new Error('Chromium is not installed.');
    this.browser ??= await chromium.launch({ executablePath: chromiumPath, args: browserFlags });
    this.page_ = await this.browser.newPage({ viewport: { width: 1280, height: 800 } });
    await this.page_.goto(address);
  }

  /** Ends the lab as Ctrl+C does: machines are saved. */
  async stop(): Promise<void> {
    await this.electron?.close();
    this.electron = undefined;
    await this.page_?.close().catch(() => undefined);
    this.page_ = undefined;
    if (this.server === undefined) return;
    const ended = new Promise((done) => this.server?.once('exit', done));
    this.server.kill('SIGINT');
    await ended;
    this.server = undefined;
  }

  async discard(): Promise<void> {
    await this.stop();
    await this.browser?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async createMachine({ name = 'e2e', cpus = 2, memoryMiB = 256 }: NewMachine = {}): Promise<void> {
    const card = this.page.getByRole('form', { name: 'New machine from base' });
    await card.getByLabel('Name').fill(name);
    await card.getByLabel('CPUs').fill(String(cpus));
    await card.getByLabel('Memory (MiB)').fill(String(memoryMiB));
    await card.getByRole('button').click();
  }

  /** Opens a machine of the library, which resumes it; the lab may be about to open it by itself, as it was open before. */
  async openMachine(name: string): Promise<void> {
    const open = this.page
      .getByRole('article', { name })
      .getByRole('button', { name: /Open|Start|Resume|Go on|Boot/ });
    await expect(async () => {
      if (!(await this.terminal().isVisible())) {
        if (await open.isEnabled({ timeout: 500 })) await open.click({ timeout: 1000 });
        await expect(this.terminal()).toBeVisible({ timeout: 5000 });
      }
    }).toPass({ timeout: 60_000 });
  }

  async layout(name: 'Write' | 'Watch' | 'Analyse'): Promise<void> {
    await this.page.getByRole('group', { name: 'Layout' }).getByRole('button', { name }).click();
  }

  editor(): Locator {
    return this.page.locator('.monaco-editor:visible').first();
  }

  async showTab(name: string): Promise<void> {
    await this.page.getByRole('tab', { name }).first().click();
  }

  /** Lines of a terminal that are whole numbers. */
  async numbersIn(terminal: string): Promise<number[]> {
    const text = await this.terminal(terminal).innerText();
    return text.split('\n').flatMap((line) => (/^\s*\d+\s*$/.test(line) ? [Number(line)] : []));
  }

  terminal(name = 'tty1'): Locator {
    return this.page.getByRole('region', { name: `Terminal ${name}` });
  }

  /** Types a line into a terminal, as keys. */
  async typeLine(text: string, terminal = 'tty1'): Promise<void> {
    await this.terminal(terminal).getByRole('textbox').first().focus();
    await this.page.keyboard.type(`${text}\n`);
  }

  /** Runs a command of the palette. */
  async command(name: string): Promise<void> {
    await this.page.keyboard.press('Control+Shift+P');
    await this.page.keyboard.type(name);
    await this.page.keyboard.press('Enter');
  }

  /** Screenshots for the eye, in both sizes and themes. */
  async screenshots(name: string): Promise<void> {
    for (const theme of ['light', 'dark'] as const) {
      await this.page.emulateMedia({ colorScheme: theme });
      for (const [width, height] of [
        [1280, 800],
        [1920, 1080],
      ] as const) {
        // prettier-ignore
        await this.page.setViewportSize({ width, height });
        await this.page.waitForTimeout(300); // charts are drawn at the next frame
        await this.page.screenshot({
          path: join(root, 'test-results/screenshots', `${name}-${theme}-${width}.png`),
        });
      }
    }
    await this.page.setViewportSize({ width: 1280, height: 800 });
  }
}

export const test = base.extend<{ shell: 'browser' | 'electron'; lab: Lab }>({
  shell: ['browser', { option: true }],
  lab: async ({ shell }, use) => {
    const lab = new Lab(shell);
    await lab.start();
    await use(lab);
    await lab.discard();
  },
});
export { expect };
