import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { card, inspect, openBrowser, Server, until, visit, type Visit } from './harness';

/** Two thousand workspaces, and one person who has to find their way. */
const server = new Server({ MOLECULE_CREDENTIAL_RATE: '0', MOLECULE_IMPORT_PAUSE_MS: '0' });
const TOTAL = 2_000;
let browser: Browser;
let me: Visit;

interface Role {
  name: string;
  external: true;
  children: Role[];
}

/** Divisions of five teams, each of a head and nineteen; the last one is as large as `total` leaves it. */
function organisation(total: number): Role[] {
  let left = total;
  const roles = (most: number, make: (n: number) => Role): Role[] => {
    const made: Role[] = [];
    while (left > 0 && made.length < most) {
      left -= 1;
      made.push(make(made.length + 1));
    }
    return made;
  };
  const role = (name: string, children: () => Role[] = () => []): Role => ({
    name,
    external: true,
    children: children(),
  });
  return roles(total, (division) =>
    role(`Division ${division}`, () =>
      roles(5, (team) =>
        role(`Team ${division}.${team}`, () => roles(19, (n) => role(`Agent ${division}.${team}.${n}`))),
      ),
    ),
  );
}

beforeAll(async () => {
  await server.start();
  const template = { name: 'Many', workspaces: organisation(TOTAL) };
  const { count } = await server.call<{ count: number }>('POST', '/org/import', { template });
  expect(count).toBe(TOTAL);
  browser = await openBrowser();
  me = await visit(browser, server);
});

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
    .click({ position: { x: 30, y: 60 } });
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
