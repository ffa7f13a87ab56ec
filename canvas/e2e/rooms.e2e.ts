import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { card, focusCard, inspect, openBrowser, openCard, say, Server, until, visit, type Visit } from './harness';

/** Rooms of the server that the page offers where they are: stopping and going on, sessions, the audit. */
const here = dirname(fileURLToPath(import.meta.url));
const api = JSON.parse(readFileSync(join(here, '../../crates/api/openapi.json'), 'utf8')) as {
  paths: Record<string, Record<string, unknown>>;
};
const serves = (method: string, path: string) => api.paths[path]?.[method] !== undefined;

const server = new Server();
let browser: Browser;
let me: Visit;

beforeAll(async () => {
  await server.start();
  browser = await openBrowser();
  const lead = await server.call<{ id: string }>('POST', '/workspaces', {
    name: 'Lead',
    runtime: 'echo',
    canvas: { x: 40, y: 40 },
  });
  await server.call('POST', '/workspaces', { name: 'Helper', runtime: 'echo', parent_id: lead.id });
  me = await visit(browser, server);
  for (const name of ['Lead', 'Helper']) await is(name, 'Online');
});

afterAll(async () => {
  expect(me.complaints).toEqual([]);
  await browser.close();
  await server.close();
});

const page = () => me.page;
const is = (name: string, label: string) =>
  card(page(), name)
    .and(page().locator(`[aria-label*="${label}"]`))
    .first()
    .waitFor();

test('what the server has not got is not offered', async () => {
  await openCard(page(), 'Lead');
  await page().getByRole('tab', { name: 'Danger' }).click();
  await page().getByRole('heading', { name: 'Delete' }).waitFor();
  for (const [name, method, path] of [
    ['Pause', 'post', '/workspaces/{id}/pause'],
    ['Put to sleep', 'post', '/workspaces/{id}/hibernate'],
    ['Export', 'get', '/bundles/export/{id}'],
    ['Remove the team', 'post', '/workspaces/{id}/collapse'],
  ] as const) {
    const shown = await page().getByRole('heading', { name, exact: true }).count();
    expect(shown > 0, name).toBe(serves(method, path));
  }
  await inspect(page(), 'danger', 'aside');
});

// LIFE-151, LIFE-154, UI-41
test.runIf(serves('post', '/workspaces/{id}/pause') && serves('post', '/workspaces/{id}/resume'))(
  'a team is paused from its menu, and resumed from its panel',
  async () => {
    await page().keyboard.press('Escape');
    await focusCard(page(), 'Lead');
    await page().keyboard.press('ContextMenu');
    await page().getByRole('menuitem', { name: 'Pause…' }).click();
    await page().getByRole('dialog', { name: 'Pause “Lead”?' }).getByRole('button', { name: 'Pause' }).click();
    await page().getByText('2 workspaces paused').waitFor();
    for (const name of ['Lead', 'Helper']) await is(name, 'Paused');
    await openCard(page(), 'Lead');
    await inspect(page(), 'paused');
    await page().getByRole('complementary').getByRole('button', { name: 'Resume' }).first().click();
    for (const name of ['Lead', 'Helper']) await is(name, 'Online');
  },
);

// LIFE-157, LIFE-162
test.runIf(serves('post', '/workspaces/{id}/hibernate'))('an agent sleeps, and its next message wakes it', async () => {
  await openCard(page(), 'Helper');
  await page().getByRole('tab', { name: 'Danger' }).click();
  await page().getByRole('button', { name: 'Put to sleep' }).click();
  await is('Helper', 'Hibernated');
  await inspect(page(), 'asleep');
  await page().getByRole('complementary').getByRole('button', { name: 'Wake it now' }).click();
  await is('Helper', 'Online');
  await page().getByRole('button', { name: 'Put to sleep' }).click();
  await is('Helper', 'Hibernated');
  await page().getByRole('tab', { name: 'Chat' }).click();
  await say(page(), 'good morning');
  await is('Helper', 'Online');
});

test.runIf(serves('get', '/auth/sessions') && serves('delete', '/auth/sessions/{sessionId}'))(
  'another browser is signed out from here',
  async () => {
    const other = await visit(browser, server);
    await card(other.page, 'Lead').first().waitFor();
    await page().keyboard.press('Escape');
    await page().keyboard.press('Control+,');
    await page().getByRole('tab', { name: 'Sessions' }).click();
    const sessions = page().getByRole('list', { name: 'Sessions' });
    await sessions.getByText('this one').waitFor();
    await inspect(page(), 'settings-sessions', '[role=dialog]');
    // The newest of the others is that browser; the harness has a session of its own.
    while ((await sessions.getByRole('button', { name: 'Sign out' }).count()) > 0) {
      const left = await sessions.getByRole('listitem').count();
      await sessions.getByRole('button', { name: 'Sign out' }).first().click();
      await page()
        .getByRole('dialog', { name: /^Sign out/ })
        .getByRole('button', { name: 'Sign out' })
        .click();
      await until(async () => (await sessions.getByRole('listitem').count()) < left);
    }
    await other.page.getByLabel('Login link or code').waitFor();
    await other.context.close();
    server.forget();
    await page().keyboard.press('Escape');
  },
);

test.runIf(serves('post', '/auth/login-codes'))('another browser is signed in from here', async () => {
  await page().keyboard.press('Control+,');
  await page().getByRole('tab', { name: 'Sessions' }).click();
  await page().getByRole('button', { name: 'Sign in another browser…' }).click();
  const link = await page().getByRole('dialog').locator('code').innerText();
  const other = await visit(browser, server, link);
  await card(other.page, 'Lead').waitFor();
  await other.context.close();
  await page().keyboard.press('Escape');
});

test.runIf(serves('get', '/admin/server') && serves('get', '/admin/liveness'))(
  'the server tells how it is, and what it writes into its log',
  async () => {
    await page().keyboard.press('Control+,');
    await page().getByRole('tab', { name: 'Server' }).click();
    await page().getByRole('list', { name: 'Loops' }).getByRole('listitem').first().waitFor();
    await page().getByText('No global secret leads to one.').waitFor();
    await inspect(page(), 'settings-server', '[role=dialog]');
    await page().getByLabel('What the server writes into its log').fill('info,molecule_api=debug');
    await page().getByRole('button', { name: 'Log by it' }).click();
    await until(async () => {
      const { filter } = await server.call<{ filter: string }>('GET', '/admin/log');
      return filter.includes('molecule_api=debug');
    });
    await page().getByLabel('What the server writes into its log').fill('molecule=nothing-of-the-kind');
    await page().getByRole('button', { name: 'Log by it' }).click();
    await page().getByRole('dialog').getByRole('alert').waitFor();
    await page().keyboard.press('Escape');
  },
);

// LIFE-199
test.runIf(serves('post', '/admin/workspaces/{id}/restore'))('a deletion is undone', async () => {
  await focusCard(page(), 'Lead');
  await page().keyboard.press('ContextMenu');
  await page().getByRole('menuitem', { name: 'Delete…' }).click();
  await page().getByRole('dialog', { name: 'Delete “Lead”?' }).getByRole('button', { name: 'Delete' }).click();
  await card(page(), 'Lead').waitFor({ state: 'detached' });
  await page().getByText('2 workspaces deleted').waitFor();
  await page().keyboard.press('Control+z');
  await page().getByText('Deleting undone').waitFor();
  for (const name of ['Lead', 'Helper']) await is(name, 'Online');
  const rows = await server.call<{ name: string; parent_id: string | null; id: string }[]>('GET', '/workspaces');
  const lead = rows.find(({ name }) => name === 'Lead')?.id;
  expect(rows.find(({ name }) => name === 'Helper')?.parent_id).toBe(lead);
});

// UI-121
test.runIf(serves('get', '/admin/audit'))('the audit names who changed what', async () => {
  await page().keyboard.press('Control+,');
  await page().getByRole('tab', { name: 'Audit' }).click();
  const changes = page().getByRole('list', { name: 'Changes' });
  await changes.getByText('workspace.create').first().waitFor();
  await inspect(page(), 'settings-audit', '[role=dialog]');
  await page().keyboard.press('Escape');
});
