// The main job, click by click: a machine from the base image, its shell, a C program, a mistake in it, a program larger than
// memory while a session is recorded, the recording, and a machine that goes on after the lab was closed.
import { expect, shells, test } from './lab.ts';

for (const shell of shells) {
  test.describe(`in the ${shell}`, () => {
    test.use({ shell });

    test('the main job', async ({ lab }) => {
      const { page } = lab;
      await test.step('a machine boots to a shell', async () => {
        await lab.createMachine({ name: 'first' });
        await expect(lab.terminal()).toContainText('root@ringside:~#', { timeout: 60_000 });
        await lab.typeLine('echo answer $((6 * 7)); uname -srm');
        await expect(lab.terminal()).toContainText('answer 42');
        await expect(lab.terminal()).toContainText(/Linux 6\.1\.\S+ x86_64/);
      });

      await test.step('hello.c is compiled and runs', async () => {
        await page.getByRole('button', { name: /Hello/ }).click();
        await expect(page.getByText('/root/examples/hello.c').first()).toBeVisible();
        await page.getByRole('button', { name: 'Run', exact: true }).click();
        await expect(lab.terminal('pts/0')).toContainText('Hello from inside the machine.', {
          timeout: 60_000,
        });
        await expect(lab.terminal('pts/0')).toContainText('ended with status 0');
        await lab.screenshots('write');
      });

      await test.step('a mistake shows at its line', async () => {
        await lab.editor().click();
        await page.keyboard.press('Control+End');
        await page.keyboard.type('int broken(void) { return missing; }\n');
        await page.keyboard.press('Control+Enter');
        await expect(page.getByRole('list', { name: 'Problems' })).toContainText("'missing' undeclared", {
          timeout: 60_000,
        });
        await expect(page.locator('.squiggly-error').first()).toBeVisible();
        await lab.screenshots('mistake');
        await page.getByRole('list', { name: 'Problems' }).getByRole('button').first().click();
      });

      await test.step('memory, caches and swap move while a session is recorded', async () => {
        await page.getByRole('button', { name: /Record/ }).click();
        await lab.showTab('tty1');
        // The quotes keep the typed line from matching what is waited for.
        await lab.typeLine("tcc -o /tmp/hog examples/memory-hog.c && /tmp/hog 300 && echo sur'viv'ed");
        await lab.layout('Watch');
        await expect(page.getByText(/swap [1-9][\d.]* of 128 MiB/)).toBeVisible({ timeout: 170_000 });
        await lab.screenshots('watch');
        await lab.layout('Write');
        await lab.showTab('tty1');
        await expect(lab.terminal()).toContainText('survived', { timeout: 170_000 });
        await page.getByRole('button', { name: /Stop/ }).click();
      });

      await test.step('the recording opens and is exported', async () => {
        await lab.layout('Analyse');
        await page
          .getByRole('button', { name: 'Sessions' })
          .first()
          .click()
          .catch(() => undefined);
        const sessions = page.getByRole('list', { name: 'Sessions' });
        await sessions.getByRole('button').first().click();
        await expect(page.getByRole('region', { name: 'Session', exact: true }).first()).toBeVisible();
        const download = page.waitForEvent('download');
        await page.getByRole('button', { name: 'Perfetto', exact: true }).click();
        expect((await download).suggestedFilename()).toMatch(/perfetto/);
        await lab.screenshots('session');
      });
    });

    test('a program goes on where it was after the lab was closed', async ({ lab }) => {
      await lab.createMachine({ name: 'counting' });
      await expect(lab.terminal()).toContainText('root@ringside:~#', { timeout: 60_000 });
      await lab.typeLine('tcc -run examples/counter.c');
      await expect(async () => expect((await lab.numbersIn('tty1')).length).toBeGreaterThan(4)).toPass();
      const before = Math.max(...(await lab.numbersIn('tty1')));
      await lab.stop();
      await lab.start();
      await lab.openMachine('counting');
      await expect(async () => {
        const numbers = await lab.numbersIn('tty1');
        expect(Math.max(...numbers)).toBeGreaterThan(before + 3);
      }).toPass({ timeout: 60_000 });
      const counted = (await lab.numbersIn('tty1')).filter((number) => number >= before);
      expect(counted).toEqual(counted.map((_, i) => (counted[0] ?? 0) + i)); // none is missing, none comes twice
    });
  });
}
