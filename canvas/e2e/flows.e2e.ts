import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { proxyBelow } from './proxy';
import { card, inspect, openBrowser, openCard, say, Server, until, visit, type Visit } from './harness';

/** One organisation that grows from flow to flow, as a person's does. */
const server = new Server();
let browser: Browser;
let me: Visit;

beforeAll(async () => {
  await server.start();
  browser = await openBrowser();
});

afterAll(async () => {
  await browser.close();
  await server.close();
});

const page = () => me.page;

test('signing in takes a link that works once', async () => {
  const link = server.loginUrl();
  const stranger = await visit(browser, server, null);
  await stranger.page.getByLabel('Login link or code').waitFor();
  await inspect(stranger.page, 'login');
  await stranger.context.close();
  me = await visit(browser, server, link);
  await page().getByRole('heading', { name: 'Build your first organisation' }).waitFor();
  expect(page().url()).not.toContain('code=');
  const other = await visit(browser, server, link);
  await other.page.getByRole('alert').getByText('used already or has expired').waitFor();
  await other.context.close();
});

test('an organisation is imported with its credentials asked for first', async () => {
  await inspect(page(), 'first-run');
  await page()
    .getByRole('button', { name: /Starter/ })
    .first()
    .click();
  const dialog = page().getByRole('dialog');
  await dialog.getByLabel('Run everybody on').selectOption('echo');
  await inspect(page(), 'import', '[role=dialog]');
  await dialog.getByRole('button', { name: /^Import \d/ }).click();
  await dialog.waitFor({ state: 'detached' });
  for (const name of ['Lead', 'Researcher', 'Writer']) {
    await card(page(), name).and(page().locator('[aria-label*="Online"]')).waitFor();
  }
  await inspect(page(), 'graph');
});

test('a role answers, and its words are Markdown that runs nothing', async () => {
  await openCard(page(), 'Lead');
  await say(page(), 'hello **there** <img src=x onerror="document.title=1"> [x](javascript:alert(1))');
  const messages = page().getByRole('region', { name: 'Messages' });
  await messages.locator('strong', { hasText: 'there' }).waitFor();
  expect(await messages.locator('img').count()).toBe(0);
  expect(await messages.locator('a[href^="javascript"]').count()).toBe(0);
  expect(await page().title()).toBe('Molecule');
  await inspect(page(), 'chat');
});

test('a delegation is seen as it passes', async () => {
  await say(page(), 'delegate Researcher: find three sources');
  await page().getByText('Researcher: Echo from Researcher: find three sources').waitFor();
  await page()
    .getByRole('button', { name: /Lead called Researcher: 1 call/ })
    .waitFor();
  await page()
    .getByRole('button', { name: /Lead called Researcher/ })
    .click();
  await page().getByRole('tab', { name: 'Comms', selected: true }).waitFor();
  await page().getByText('Echo from Researcher: find three sources').first().waitFor();
  await inspect(page(), 'comms');
});

test('every tab of the panel opens', async () => {
  for (const name of ['Activity', 'Details', 'Config', 'Secrets', 'Tokens', 'Events', 'Danger']) {
    await page().getByRole('tab', { name }).click();
    await page().getByRole('tabpanel', { name }).waitFor();
    // First the tab itself is read, then what it shows.
    await page().waitForLoadState('networkidle');
    await inspect(page(), `tab-${name.toLowerCase()}`, 'aside');
  }
  await page().getByRole('tab', { name: 'Chat' }).click();
});

test('a workspace is added by keyboard alone', async () => {
  await page().keyboard.press('Escape');
  await page()
    .locator('.react-flow__pane')
    .click({ position: { x: 5, y: 5 } });
  await page().keyboard.press('n');
  await page().getByRole('dialog', { name: 'New workspace' }).waitFor();
  await page().keyboard.type('Critic');
  await inspect(page(), 'create', '[role=dialog]');
  await page().getByLabel('Runtime').focus();
  await page().getByLabel('Runtime').selectOption('echo');
  await page().keyboard.press('Tab');
  await page().keyboard.press('Enter');
  await card(page(), 'Critic').and(page().locator('[aria-label*="Online"]')).waitFor();
});

test('a card that is dragged into a team joins it, and undo takes it out again', async () => {
  const parentOf = async (name: string) => {
    const rows = await server.call<{ name: string; parent_id: string | null }[]>('GET', '/workspaces');
    return rows.find((row) => row.name === name)?.parent_id ?? null;
  };
  await page().keyboard.press('Escape');
  await page().getByRole('button', { name: 'Fit View' }).click();
  const from = await page().locator('.react-flow__node [title="Critic"]').boundingBox();
  const to = await page().locator('.react-flow__node [title="Lead"]').boundingBox();
  if (!from || !to) throw new Error('the cards are not drawn');
  await page().mouse.move(from.x + 5, from.y + 5);
  await page().mouse.down();
  await page().mouse.move(to.x + 60, to.y + 10, { steps: 12 });
  await page().getByText('Drop into: Lead').waitFor();
  await page().mouse.up();
  await page().getByRole('dialog', { name: 'Nest “Critic”?' }).waitFor();
  await page().getByRole('button', { name: 'Nest', exact: true }).click();
  const lead = await server.idOf('Lead');
  await until(async () => (await parentOf('Critic')) === lead);
  await page().getByRole('button', { name: 'Undo' }).click();
  await until(async () => (await parentOf('Critic')) === null);
});

test('an agent that dies is seen to fall and to recover', async () => {
  await page().getByRole('button', { name: 'Fit View' }).click();
  const other = await visit(browser, server);
  await openCard(page(), 'Writer');
  await say(page(), 'crash');
  // A second browser sees the same without doing anything.
  await other.page.getByRole('button', { name: 'Event feed' }).click();
  await other.page
    .getByRole('complementary', { name: 'Event feed' })
    .getByText(/^(starting|offline)/)
    .first()
    .waitFor();
  await card(other.page, 'Writer').and(other.page.locator('[aria-label*="Online"]')).waitFor();
  await inspect(other.page, 'feed');
  expect(other.complaints).toEqual([]);
  await other.context.close();
});

test('an external agent is connected', async () => {
  await page().getByRole('button', { name: 'New workspace' }).click();
  const create = page().getByRole('dialog', { name: 'New workspace' });
  await create.getByText('External agent').click();
  await create.getByLabel('Name').fill('Partner');
  await create.getByRole('button', { name: 'Create and connect' }).click();
  const connect = page().getByRole('dialog', { name: 'Connect “Partner”' });
  await connect.getByRole('tab', { name: 'curl' }).click();
  const snippet = await connect.getByLabel('curl snippet').innerText();
  expect(snippet).not.toContain('<paste');
  await inspect(page(), 'connect', '[role=dialog]');
  await connect.getByRole('tab', { name: 'Fields' }).click();
  const token = await connect.locator('dd').nth(2).innerText();
  const id = await server.idOf('Partner');
  const answer = await fetch(`${server.url}/registry/register`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', origin: server.url },
    body: JSON.stringify({
      id,
      url: '',
      delivery_mode: 'poll',
      agent_card: { name: 'Partner', version: '1.0.0', skills: [] },
    }),
  });
  expect(answer.status).toBe(200);
  await connect.getByText('the agent is connected').waitFor();
  await page().keyboard.press('Escape');
  await openCard(page(), 'Partner');
  await say(page(), 'are you there');
  await page().getByRole('region', { name: 'Messages' }).getByText('this agent fetches its messages itself').waitFor();
});

test('search, settings, templates and help open and close by keyboard', async () => {
  await page().keyboard.press('Control+k');
  await page().keyboard.type('resear');
  await inspect(page(), 'palette', '[role=dialog]');
  await page().keyboard.press('Enter');
  await page().getByRole('complementary', { name: 'Workspace Researcher' }).waitFor();
  await page().keyboard.press('Escape');
  await page()
    .locator('.react-flow__pane')
    .click({ position: { x: 5, y: 5 } });
  for (const [keys, title] of [
    ['Control+,', 'Settings'],
    ['?', 'Help and legend'],
  ] as const) {
    await page().keyboard.press(keys);
    await page().getByRole('dialog', { name: title }).waitFor();
    await inspect(page(), title.toLowerCase().split(' ')[0] ?? title, '[role=dialog]');
    await page().keyboard.press('Escape');
  }
  await page().getByRole('button', { name: 'Templates' }).click();
  await page().getByRole('dialog', { name: 'Templates' }).waitFor();
  await inspect(page(), 'templates', '[role=dialog]');
  await page().keyboard.press('Escape');
});

test('the past is replayed on the chart', async () => {
  await page().getByRole('button', { name: 'Menu' }).click();
  await page().getByRole('menuitemcheckbox', { name: 'Replay the past' }).click();
  const replay = page().getByRole('region', { name: 'Replay' });
  // Before its first event the critic was not there.
  await replay.getByLabel('Moment').waitFor();
  await page().locator('.card[data-absent]').first().waitFor();
  await replay.getByRole('button', { name: 'Next event' }).click();
  await inspect(page(), 'replay');
  await replay.getByLabel('Moment').focus();
  await page().keyboard.press('End');
  await until(async () => (await page().locator('.card[data-absent]').count()) === 0);
  await replay.getByRole('button', { name: 'Back to now' }).click();
});

test('the page comes back by itself after the server was restarted', async () => {
  await server.stop();
  await page()
    .getByText(/^(Reconnecting|Connecting)$/)
    .first()
    .waitFor();
  // It is said for some seconds only: heard from before it can be said.
  const restored = page().getByText('Live updates restored').waitFor();
  await server.start();
  await restored;
  await openCard(page(), 'Lead');
  await page().getByRole('tab', { name: 'Chat' }).click();
  await until(async () => {
    await say(page(), 'after the restart');
    await page().waitForTimeout(1_000);
    return (await page().getByText('Echo from Lead: after the restart').count()) > 0;
  });
});

test('the API reference is readable', async () => {
  const docs = await me.context.newPage();
  await docs.goto(`${server.url}/docs`);
  await docs.getByRole('searchbox').fill('restart');
  await docs.getByRole('button', { name: /\/workspaces\/\{id\}\/restart/ }).click();
  await docs.getByText('Responses').first().waitFor();
  await inspect(docs, 'docs');
  await docs.close();
});

// D28
test('everything works below the path of a reverse proxy', async () => {
  const { url, server: proxy } = await proxyBelow('/team/molecule', server.port);
  const there = await visit(browser, server, url + new URL(server.loginUrl()).hash);
  await card(there.page, 'Lead').first().waitFor();
  await there.page.getByText('Live', { exact: true }).waitFor();
  await openCard(there.page, 'Lead');
  await say(there.page, 'through the proxy');
  await there.page.getByText('Echo from Lead: through the proxy').waitFor();
  await there.page.goto(`${url}docs`);
  await there.page.getByRole('searchbox').waitFor();
  expect(there.complaints).toEqual([]);
  await there.context.close();
  proxy.closeAllConnections();
  proxy.close();
});

test('signing out in one tab ends the other one, and nothing was complained about', async () => {
  const tab = await me.context.newPage();
  await tab.goto(server.url);
  await tab.getByRole('button', { name: 'Menu' }).click();
  await tab.getByRole('menuitem', { name: 'Sign out' }).click();
  await tab.getByText('You are signed out.').waitFor();
  await page().getByText('You signed out in another tab.').waitFor();
  expect(me.complaints).toEqual([]);
});
