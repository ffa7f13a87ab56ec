import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { card, inspect, openBrowser, Server, until, visit, type Visit } from './harness';

/** Two thousand workspaces, and one person who has to find their way. */
const server = new Server({ MOLECULE_CREDENTIAL_RATE: '0' });
const TOTAL = 2_000;
let browser: Browser;
let me: Visit;

beforeAll(async () => {
  await server.start();
  const create = async (name: string, parent: string | null) => {
    const body = { name, runtime: 'external', external: true, parent_id: parent };
    return (await server.call<{ id: string }>('POST', '/workspaces', body)).id;
  };
  const leaves: [string, string][] = [];
  let made = 0;
  for (let division = 1; made + leaves.length < TOTAL; division += 1) {
    const lead = await create(`Division ${division}`, null);
    made += 1;
    for (let team = 1; team <= 5 && made + leaves.length < TOTAL; team += 1) {
      const head = await create(`Team ${division}.${team}`, lead);
      made += 1;
      for (let n = 1; n <= 19 && made + leaves.length < TOTAL; n += 1)
        leaves.push([`Agent ${division}.${team}.${n}`, head]);
    }
  }
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let leaf = leaves.pop(); leaf; leaf = leaves.pop()) await create(...leaf);
    }),
  );
  browser = await openBrowser();
  me = await visit(browser, server);
}, 300_000);

afterAll(async () => {
  expect(me.complaints).toEqual([]);
  await browser.close();
  await server.stop();
});

const page = () => me.page;

test('all of it is in sight, as blocks', async () => {
  await page().locator('.react-flow__node').first().waitFor();
  await page().getByText('2,000').first().waitFor();
  await page().getByRole('img', { name: 'Overview of the chart' }).waitFor();
  await until(async () => (await page().locator('.react-flow__node').count()) === TOTAL);
  // Too far away to be read: no text is drawn.
  expect(await page().locator('.card [title]').count()).toBe(0);
  await page().screenshot({ path: 'e2e/artifacts/scale-dark.png' });
});

test('one of them is found, and only what is around it is drawn', async () => {
  await page().keyboard.press('Control+k');
  await page().getByRole('combobox').waitFor();
  await page().keyboard.type('agent 7.3.11');
  await page().keyboard.press('Enter');
  await page().getByRole('complementary', { name: 'Workspace Agent 7.3.11' }).waitFor();
  await card(page(), 'Agent 7.3.11').waitFor();
  await until(async () => (await page().locator('.react-flow__node').count()) < 150);
  await inspect(page(), 'scale-near');
});

test('the view is moved by the overview', async () => {
  const view = () =>
    page()
      .locator('.react-flow__viewport')
      .evaluate((node) => node.style.transform);
  const before = await view();
  await page()
    .getByRole('img', { name: 'Overview of the chart' })
    .click({ position: { x: 30, y: 30 } });
  await until(async () => (await view()) !== before);
  await page().locator('.react-flow__node').first().waitFor();
});

test('all that are in one state are selected at once', async () => {
  await page().keyboard.press('Escape');
  await page().getByTitle('Select the 2,000 awaiting agent').click();
  await page().getByText('2,000 selected').waitFor();
  await page().getByRole('toolbar', { name: 'Selected workspaces' }).getByRole('button', { name: 'Delete…' }).click();
  const dialog = page().getByRole('dialog');
  // Named as far as they can be read.
  await dialog.getByText(/^and [\d,]+ more$/).waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await page().getByRole('toolbar', { name: 'Selected workspaces' }).getByRole('button', { name: 'Clear' }).click();
});
