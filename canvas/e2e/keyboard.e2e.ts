import type { Browser, Locator } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { card, openBrowser, Server, until, visit, type Visit } from './harness';

/** The first five things that a newcomer does, without a pointer (UI-131). */
const server = new Server();
let browser: Browser;
let me: Visit;

beforeAll(async () => {
  await server.start();
  browser = await openBrowser();
  me = await visit(browser, server);
});

afterAll(async () => {
  expect(me.complaints).toEqual([]);
  await browser.close();
  await server.close();
});

const page = () => me.page;
const press = (key: string) => page().keyboard.press(key);

const focused = (wanted: Locator) => wanted.evaluate((node) => node === document.activeElement).catch(() => false);

/** Goes on with Tab until the focus is there: whatever cannot be reached so is not reachable. */
async function tabTo(wanted: Locator, key = 'Tab'): Promise<void> {
  await wanted.waitFor();
  for (let presses = 0; presses < 80; presses += 1) {
    if (await focused(wanted)) {
      const ring = await wanted.evaluate((node) => getComputedStyle(node).outlineStyle);
      // Where one is can be seen; what is hidden shows it around its label.
      expect(['solid', 'auto', 'none']).toContain(ring);
      return;
    }
    await press(key);
  }
  throw new Error('not to be reached by keyboard');
}

test('import the starter', async () => {
  await tabTo(
    page()
      .getByRole('button', { name: /Starter/ })
      .first(),
  );
  await press('Enter');
  const dialog = page().getByRole('dialog');
  await tabTo(dialog.getByLabel('Run everybody on'));
  await page().keyboard.type('echo');
  await until(async () => (await dialog.getByLabel('Run everybody on').inputValue()) === 'echo');
  await tabTo(dialog.getByRole('button', { name: /^Import \d/ }));
  await press('Enter');
  for (const name of ['Lead', 'Researcher', 'Writer']) {
    await card(page(), name).and(page().locator('[aria-label*="Online"]')).waitFor();
  }
});

test('talk to Lead', async () => {
  await press('/');
  await page().keyboard.type('lead');
  await press('Enter');
  await page().getByRole('complementary', { name: 'Workspace Lead' }).waitFor();
  await page()
    .getByRole('textbox', { name: /^Message to/ })
    .waitFor();
  await tabTo(page().getByRole('textbox', { name: /^Message to/ }));
  await page().keyboard.type('hello');
  await press('Enter');
  await page().getByText('Echo from Lead: hello').waitFor();
});

test('watch a delegation', async () => {
  await page().keyboard.type('delegate Researcher: find three sources');
  await press('Enter');
  await page().getByText('Researcher: Echo from Researcher: find three sources').waitFor();
  const line = page().getByRole('button', { name: /Lead called Researcher/ });
  await tabTo(line, 'Shift+Tab');
  await press('Enter');
  await page().getByRole('tab', { name: 'Comms', selected: true }).waitFor();
  await page().getByText('Echo from Researcher: find three sources').first().waitFor();
});

test('add a workspace', async () => {
  await press('Escape');
  await press('n');
  await page().getByRole('dialog', { name: 'New workspace' }).waitFor();
  await page().keyboard.type('Critic');
  const runtime = page().getByLabel('Runtime');
  await tabTo(runtime);
  await page().keyboard.type('echo');
  await until(async () => (await runtime.inputValue()) === 'echo');
  await press('Tab');
  await press('Enter');
  await card(page(), 'Critic').and(page().locator('[aria-label*="Online"]')).waitFor();
  // Among the cards by arrows, into the card's own menu and out again.
  await press('Escape');
  await tabTo(page().locator('.react-flow__node[tabindex="0"]'), 'Shift+Tab');
  const first = await page().evaluate(() => (document.activeElement as HTMLElement).dataset.id);
  await press('ArrowDown');
  await press('ArrowRight');
  await until(async () => (await page().evaluate(() => (document.activeElement as HTMLElement).dataset.id)) !== first);
});

test('connect an external agent', async () => {
  await press('n');
  const create = page().getByRole('dialog', { name: 'New workspace' });
  await create.waitFor();
  await page().keyboard.type('Partner');
  await tabTo(create.getByLabel('Run it here'), 'Shift+Tab');
  await press('ArrowRight');
  await tabTo(create.getByRole('button', { name: 'Create and connect' }));
  await press('Enter');
  const connect = page().getByRole('dialog', { name: 'Connect “Partner”' });
  await connect.waitFor();
  await tabTo(connect.getByRole('tab', { selected: true }));
  await press('End');
  await connect.getByRole('tab', { name: 'Fields', selected: true }).waitFor();
  await connect.getByText('auth_token').waitFor();
  await press('Escape');
  await connect.waitFor({ state: 'detached' });
  // The focus is back in the page, not lost.
  await press('?');
  await page().getByRole('dialog', { name: 'Help and legend' }).waitFor();
  await press('Escape');
});

// UI-132
test('nothing moves for whoever does not want it to', async () => {
  const moving = await page().evaluate(() =>
    [...document.querySelectorAll('*')]
      .filter((node) => {
        const style = getComputedStyle(node);
        return (
          style.animationName !== 'none' || (style.transitionDuration !== '0s' && style.transitionProperty !== 'none')
        );
      })
      .map((node) => node.className.toString().slice(0, 60)),
  );
  expect(moving).toEqual([]);
});

test('the panel is usable on a narrow screen, and nothing scrolls sideways', async () => {
  for (const [width, height] of [
    [640, 800],
    [1280, 720],
  ] as const) {
    await page().setViewportSize({ width, height });
    await press('/');
    await page().keyboard.type('lead');
    await press('Enter');
    const panel = page().getByRole('complementary', { name: 'Workspace Lead' });
    await panel.waitFor();
    const box = await panel.boundingBox();
    expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(width);
    for (const tab of ['Chat', 'Details', 'Danger']) {
      await page().getByRole('tab', { name: tab }).click();
      expect(await page().evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)).toBe(true);
    }
    await page().getByRole('tab', { name: 'Chat' }).click();
    const composer = await page()
      .getByRole('textbox', { name: /^Message to/ })
      .boundingBox();
    expect(composer?.width).toBeGreaterThan(200);
    await page().screenshot({ path: `e2e/artifacts/panel-${width}-dark.png` });
    await press('Escape');
  }
});
