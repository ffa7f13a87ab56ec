import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  boxOf,
  card,
  drag,
  focusCard,
  inspect,
  openBrowser,
  openCard,
  Server,
  settled,
  until,
  visit,
  type Visit,
} from './harness';

/** The chart as a thing to work with. Its workspaces are external ones: nothing runs, and nothing changes by itself. */
const server = new Server();
let browser: Browser;
let me: Visit;
/** Somebody else who looks at the same organisation, and touches nothing. */
let other: Visit;

interface Row {
  id: string;
  name: string;
  parent_id: string | null;
  x: number;
  y: number;
  collapsed: boolean;
}

const rows = () => server.call<Row[]>('GET', '/workspaces');
const rowOf = async (name: string): Promise<Row | undefined> => (await rows()).find((row) => row.name === name);

async function create(name: string, parent: string | null, x: number, y: number): Promise<string> {
  const body = { name, runtime: 'external', external: true, parent_id: parent, canvas: { x, y } };
  return (await server.call<{ id: string }>('POST', '/workspaces', body)).id;
}

beforeAll(async () => {
  await server.start();
  browser = await openBrowser();
  const lead = await create('Lead', null, 40, 40);
  await create('Alpha', lead, 60, 160);
  await create('Beta', lead, 340, 160);
  await create('Solo', null, 800, 40);
  me = await visit(browser, server);
  other = await visit(browser, server);
  await card(me.page, 'Solo').waitFor();
  await card(other.page, 'Solo').waitFor();
});

afterAll(async () => {
  expect(me.complaints).toEqual([]);
  expect(other.complaints).toEqual([]);
  await browser.close();
  await server.close();
});

const page = () => me.page;
/** Where a card stands on the chart; null while it is not drawn. */
const placeOn = async (on: Page, name: string): Promise<number[] | null> => {
  const styles = await card(on, name).evaluateAll((nodes) => nodes.map((node) => node.style.transform));
  const found = /translate\(([-\d.]+)px, ([-\d.]+)px\)/.exec(styles[0] ?? '');
  return found?.slice(1).map(Number) ?? null;
};
const fit = (on: Page = page()) => on.getByRole('button', { name: 'Fit View' }).click();

// UI-39
test('a team folds into one card and opens again, before everybody’s eyes', async () => {
  await page().getByRole('button', { name: 'Fold the team of Lead, 2 below' }).click();
  await card(page(), 'Alpha').waitFor({ state: 'detached' });
  await until(async () => (await rowOf('Lead'))?.collapsed === true);
  await card(other.page, 'Alpha').waitFor({ state: 'detached' });
  await inspect(page(), 'folded');
  // By keyboard, on the card itself.
  await focusCard(page(), 'Lead');
  await page().keyboard.press('+');
  await card(page(), 'Alpha').waitFor();
  await card(other.page, 'Alpha').waitFor();
  expect((await rowOf('Lead'))?.collapsed).toBe(false);
});

// UI-39
test('a fold that the server refuses is taken back, and says for whom', async () => {
  await page().route('**/workspaces/*', (route) =>
    route.request().method() === 'PATCH'
      ? route.fulfill({ status: 500, contentType: 'application/json', body: '{"error":"update failed"}' })
      : route.fallback(),
  );
  await page().getByRole('button', { name: 'Fold the team of Lead' }).click();
  await page().getByText('Folding failed for “Lead”. Update failed.').waitFor();
  await card(page(), 'Alpha').waitFor();
  await page().unroute('**/workspaces/*');
  await page().getByRole('button', { name: 'Dismiss', exact: true }).first().click();
});

// UI-32
test('a card that is moved stays where it was put, and moves for others too', async () => {
  await fit();
  const solo = await boxOf(page(), 'Solo');
  await drag(page(), solo, { x: solo.x + 60, y: solo.y + 90 });
  await until(async () => ((await rowOf('Solo'))?.y ?? 0) > 60);
  const at = await rowOf('Solo');
  await until(async () => (await placeOn(other.page, 'Solo'))?.join() === [at?.x, at?.y].join());
  await page().reload();
  await card(page(), 'Solo').waitFor();
  expect(await placeOn(page(), 'Solo')).toEqual([at?.x, at?.y]);
  await page().keyboard.press('Control+z');
});

// UI-33, UI-34, UI-35
test('a card joins a team by being dropped into it, and leaves it by being dragged out', async () => {
  await fit();
  const lead = await boxOf(page(), 'Lead');
  await drag(page(), await boxOf(page(), 'Solo'), { x: lead.x + 60, y: lead.y + 10 }, async () => {
    await page().getByText('Drop into: Lead').waitFor();
    await page().screenshot({ path: 'e2e/artifacts/drop-dark.png' });
  });
  await page().getByRole('dialog', { name: 'Nest “Solo”?' }).waitFor();
  await page().getByRole('button', { name: 'Nest', exact: true }).click();
  const id = (await rowOf('Lead'))?.id;
  await until(async () => (await rowOf('Solo'))?.parent_id === id);
  await card(other.page, 'Solo').and(other.page.locator('.react-flow__node')).waitFor();
  await page().getByRole('button', { name: 'Undo' }).click();
  await until(async () => (await rowOf('Solo'))?.parent_id === null);
  // Out of the team: asked, refused, and everything is as it was.
  await fit();
  await settled(page(), 'Alpha');
  const alpha = await boxOf(page(), 'Alpha');
  await drag(page(), alpha, { x: alpha.x, y: alpha.y + 200 });
  await page().getByRole('dialog', { name: 'Extract “Alpha”?' }).waitFor();
  await page().getByRole('button', { name: 'Cancel' }).click();
  await until(async () => Math.abs((await boxOf(page(), 'Alpha')).y - alpha.y) < 2);
  expect((await rowOf('Alpha'))?.parent_id).toBe(id);
  await drag(page(), alpha, { x: alpha.x, y: alpha.y + 200 });
  await page().getByRole('button', { name: 'Extract', exact: true }).click();
  await until(async () => (await rowOf('Alpha'))?.parent_id === null);
  await page().getByRole('button', { name: 'Undo' }).click();
  await until(async () => (await rowOf('Alpha'))?.parent_id === id);
});

// UI-41
test('the menu of a card holds what can be done with it, by pointer and by keyboard', async () => {
  await fit();
  await card(page(), 'Solo').click({ button: 'right', position: { x: 40, y: 20 } });
  const menu = page().getByRole('menu');
  await menu.waitFor();
  const names = await menu.getByRole('menuitem').allInnerTexts();
  expect(names.map((name) => name.split('\n')[0])).toEqual(
    expect.arrayContaining(['Details', 'Chat', 'Activity', 'New workspace below…', 'Delete…']),
  );
  // It runs elsewhere: there is nothing to restart, and there are no logs.
  expect(names.join()).not.toMatch(/Restart|Logs/);
  await inspect(page(), 'menu', '[role=menu]');
  await page().keyboard.press('Escape');
  await menu.waitFor({ state: 'detached' });
  await focusCard(page(), 'Alpha');
  await page().keyboard.press('ContextMenu');
  await page().getByRole('menuitem', { name: 'Extract from team' }).waitFor();
  await page().keyboard.press('ArrowDown');
  await page().keyboard.press('Escape');
  // Of the chart itself.
  await page()
    .locator('.react-flow__pane')
    .click({ button: 'right', position: { x: 8, y: 300 } });
  await page().getByRole('menuitem', { name: 'Select all' }).click();
  await page().getByText('4 selected').waitFor();
  await inspect(page(), 'selected');
  await page().keyboard.press('Escape');
  await page().getByText('4 selected').waitFor({ state: 'detached' });
});

// UI-51
test('siblings change places by keyboard', async () => {
  const order = async () => {
    const [a, b] = [await rowOf('Alpha'), await rowOf('Beta')];
    return (a?.x ?? 0) < (b?.x ?? 0) ? 'Alpha, Beta' : 'Beta, Alpha';
  };
  expect(await order()).toBe('Alpha, Beta');
  await focusCard(page(), 'Alpha');
  await page().keyboard.press('Control+]');
  await until(async () => (await order()) === 'Beta, Alpha');
  await focusCard(page(), 'Alpha');
  await page().keyboard.press('Control+[');
  await until(async () => (await order()) === 'Alpha, Beta');
});

// UI-37
test('a team is made larger by its edge, and stays so', async () => {
  await openCard(page(), 'Lead');
  await fit();
  await settled(page(), 'Lead');
  const before = await card(page(), 'Lead').boundingBox();
  const handle = page().locator('.resize-both');
  const at = await handle.boundingBox();
  if (!before || !at) throw new Error('the card is not drawn');
  await page().mouse.move(at.x + at.width / 2, at.y + at.height / 2);
  await page().mouse.down();
  await page().mouse.move(at.x + 80, at.y + 60, { steps: 8 });
  await page().mouse.up();
  const grown = async () => {
    const after = await card(page(), 'Lead').boundingBox();
    return (after?.width ?? 0) > before.width + 30 && (after?.height ?? 0) > before.height + 30;
  };
  await until(grown);
  const stored = () => page().evaluate(() => localStorage.getItem('molecule.sizes'));
  expect(await stored()).toContain((await rowOf('Lead'))?.id);
  // Folded and opened, it is as large as what is in it.
  await page().getByRole('button', { name: 'Fold the team of Lead' }).click();
  await page().getByRole('button', { name: 'Open the team of Lead' }).click();
  await card(page(), 'Alpha').waitFor();
  expect(await stored()).toBe('[]');
  await page().keyboard.press('Escape');
});

// UI-45, ACT-218
test('the canvas opens where somebody looked last', async () => {
  await fit();
  const view = (on: Page) => on.locator('.react-flow__viewport').evaluate((node) => node.style.transform);
  const kept = page().waitForResponse((answer) => answer.url().endsWith('/canvas/viewport') && answer.ok());
  await page().mouse.move(500, 640);
  await page().mouse.down();
  await page().mouse.move(420, 600, { steps: 6 });
  await page().mouse.up();
  const moved = await view(page());
  await kept;
  const third = await visit(browser, server);
  await card(third.page, 'Solo').waitFor();
  expect(await view(third.page)).toBe(moved);
  await third.context.close();
});

// UI-55, UI-43
test('who an action on several failed for stays selected, and the bar stays', async () => {
  await create('Gone', null, 60, 700);
  const stays = await create('Stays', null, 360, 700);
  // First they stand where there is room: what tells of them names no place.
  for (const [name, x] of [
    ['Gone', 60],
    ['Stays', 360],
  ] as const)
    await until(async () => {
      await fit();
      return (await placeOn(page(), name))?.join() === `${x},700`;
    });
  await settled(page(), 'Stays');
  await page().keyboard.press('Escape');
  await card(page(), 'Gone').click({ modifiers: ['Shift'] });
  await card(page(), 'Stays').click({ modifiers: ['Shift'] });
  await page().getByText('2 selected').waitFor();
  const refuse = `**/workspaces/${stays}?confirm=true`;
  await page().route(refuse, (route) =>
    route.fulfill({ status: 500, contentType: 'application/json', body: '{"error":"the agent does not stop"}' }),
  );
  const bar = page().getByRole('toolbar', { name: 'Selected workspaces' });
  await bar.getByRole('button', { name: 'Delete…' }).click();
  await inspect(page(), 'delete', '[role=dialog]');
  await page().getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page().getByText('Delete failed for “Stays”. The agent does not stop.').waitFor();
  await card(page(), 'Gone').waitFor({ state: 'detached' });
  await bar.getByText('1 selected').waitFor();
  await page().unroute(refuse);
  await bar.getByRole('button', { name: 'Delete…' }).click();
  await page().getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await card(page(), 'Stays').waitFor({ state: 'detached' });
  await card(other.page, 'Stays').waitFor({ state: 'detached' });
});

// UI-53
test('a file that is no bundle is refused by name', async () => {
  const data = await page().evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(['x'], 'notes.txt', { type: 'text/plain' }));
    return transfer;
  });
  const main = page().getByRole('main', { name: 'Organisation' });
  await main.dispatchEvent('dragenter', { dataTransfer: data });
  await page().getByText('Drop a .bundle.json to import it').waitFor();
  await main.dispatchEvent('drop', { dataTransfer: data });
  await page()
    .getByText(/notes\.txt|takes no bundles/)
    .waitFor();
});
