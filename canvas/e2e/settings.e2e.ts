import { readdirSync, readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { card, inspect, openBrowser, openCard, Server, until, visit, type Visit } from './harness';

/** Whatever is saved, and what becomes of it on the server. */
const server = new Server();
let browser: Browser;
let me: Visit;

beforeAll(async () => {
  await server.start();
  browser = await openBrowser();
  await server.call('POST', '/workspaces', { name: 'Echo', runtime: 'echo', canvas: { x: 40, y: 40 } });
  me = await visit(browser, server);
  await online('Echo');
});

afterAll(async () => {
  expect(me.complaints).toEqual([]);
  await browser.close();
  await server.close();
});

const page = () => me.page;
const online = (name: string) => card(page(), name).and(page().locator('[aria-label*="Online"]')).waitFor();

interface Event {
  event_type: string;
}

const starts = async (id: string) =>
  (await server.call<Event[]>('GET', `/events/${id}`)).filter((one) => one.event_type === 'WORKSPACE_PROVISIONING')
    .length;

// UI-111, UI-112
test('a model that is saved restarts the agent once, and only the model is sent', async () => {
  const id = await server.idOf('Echo');
  const before = await starts(id);
  const sent: string[] = [];
  page().on('request', (request) => {
    if (request.method() !== 'GET')
      sent.push(`${request.method()} ${new URL(request.url()).pathname.split('/').pop()}`);
  });
  await openCard(page(), 'Echo');
  await page().getByRole('tab', { name: 'Config' }).click();
  await page().getByLabel('Model').fill('test/model-2');
  await page().getByRole('button', { name: 'Save' }).click();
  await page().getByText('Saved; the agent restarts with it').waitFor();
  expect(sent.filter((one) => !one.endsWith('viewport'))).toEqual(['PUT model']);
  const stored = await server.call<{ model: string }>('GET', `/workspaces/${id}/model`);
  expect(stored.model).toBe('test/model-2');
  await until(async () => (await starts(id)) > before);
  await online('Echo');
  expect(await starts(id)).toBe(before + 1);
});

// UI-113
test('a model that is refused does not take back what else was saved, and says so', async () => {
  await page().route('**/model', (route) =>
    route.request().method() === 'PUT'
      ? route.fulfill({ status: 400, contentType: 'application/json', body: '{"error":"unknown model"}' })
      : route.fallback(),
  );
  await page().getByLabel('Tasks at once').fill('3');
  await page().getByLabel('Model').fill('nobody/knows');
  await page().getByRole('button', { name: 'Save' }).click();
  await page().getByText('Other fields saved, but the model was not: Unknown model.').waitFor();
  await inspect(page(), 'config-refused', 'aside');
  await page().unroute('**/model');
  const rows = await server.call<{ max_concurrent_tasks: number }[]>('GET', '/workspaces');
  expect(rows[0]?.max_concurrent_tasks).toBe(3);
});

// UI-116
test('a secret of a workspace overrides a global one, and no value is ever shown', async () => {
  const id = await server.idOf('Echo');
  await page().keyboard.press('Control+,');
  const settings = page().getByRole('dialog', { name: 'Settings' });
  await settings.getByLabel('Name').fill('SHARED_KEY');
  await settings.getByLabel('Value').fill('of-all');
  await settings.getByRole('button', { name: /^(Store|Replace)/ }).click();
  await settings.getByText('SHARED_KEY').first().waitFor();
  await inspect(page(), 'settings-secrets', '[role=dialog]');
  await page().keyboard.press('Escape');
  await online('Echo');
  await page().getByRole('tab', { name: 'Secrets' }).click();
  const panel = page().getByRole('tabpanel', { name: 'Secrets' });
  await panel.getByText('SHARED_KEY').first().waitFor();
  await panel.getByLabel('Name').fill('SHARED_KEY');
  await panel.getByLabel('Value').fill('of-this-one');
  await panel.getByRole('button', { name: /^(Store|Replace)/ }).click();
  await until(async () => {
    const own = await server.call<{ key: string; scope: string }[]>('GET', `/workspaces/${id}/secrets`);
    return own.some(({ key, scope }) => key === 'SHARED_KEY' && scope === 'workspace');
  });
  await inspect(page(), 'secrets-override', 'aside');
  expect(await page().content()).not.toMatch(/of-all|of-this-one/);
  await online('Echo');
});

// UI-124
test('an org token is shown once, works, and is dead when it is revoked', async () => {
  await page().keyboard.press('Escape');
  await page().keyboard.press('Control+,');
  const settings = page().getByRole('dialog', { name: 'Settings' });
  await settings.getByRole('tab', { name: 'Org tokens' }).click();
  await settings.getByLabel('Name, if you like').fill('Deploy script');
  await settings.getByLabel('Lives').selectOption('30 days');
  await settings.getByLabel('Reaches').selectOption('Echo and what is below');
  await settings.getByLabel('It may read').check();
  await settings.getByRole('button', { name: 'New token' }).click();
  const token = await settings.locator('code.text').innerText();
  const mine = settings.getByRole('listitem').filter({ hasText: 'Deploy script' });
  for (const told of ['reads only', 'Echo only', /^ends /]) await mine.getByText(told).waitFor();
  await inspect(page(), 'settings-tokens', '[role=dialog]');
  const use = async (method = 'GET') =>
    (
      await fetch(`${server.url}/workspaces/${await server.idOf('Echo')}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(method === 'GET' ? {} : { body: '{"role":"Taken over"}' }),
      })
    ).status;
  expect(await use()).toBe(200);
  expect(await use('PATCH')).toBe(403);
  await mine.getByRole('button').click();
  await page().getByRole('dialog', { name: 'Revoke “Deploy script”?' }).getByRole('button', { name: 'Revoke' }).click();
  await settings.getByText('None yet.').waitFor();
  expect(await use()).toBe(401);
  await settings.getByRole('tab', { name: 'Appearance' }).click();
  await settings.getByLabel('Light').check();
  await page().reload();
  await online('Echo');
  expect(await page().evaluate(() => document.documentElement.dataset.theme)).toBe('light');
  await page().screenshot({ path: 'e2e/artifacts/graph-reloaded-light.png' });
  await page().evaluate(() => localStorage.setItem('molecule.theme', 'dark'));
  await page().reload();
});

// UI-101
test('a budget is a number of dollars, and a spent one says what it means', async () => {
  const id = await server.idOf('Echo');
  const limit = async () =>
    (await server.call<{ budget_limit: number | null }>('GET', `/workspaces/${id}/budget`)).budget_limit ?? null;
  await openCard(page(), 'Echo');
  await page().getByRole('tab', { name: 'Details' }).click();
  const field = page().getByLabel('Dollars a month');
  const save = page().getByRole('button', { name: 'Set the budget' });
  await field.fill('twenty');
  await save.click();
  await page().getByText('Write an amount of dollars').waitFor();
  await field.fill('12,50');
  await save.click();
  await until(async () => (await limit()) === 1_250);
  await field.fill('0');
  await save.click();
  await page().getByText('Budget exceeded').waitFor();
  await inspect(page(), 'budget', 'aside');
  await field.fill('');
  await save.click();
  await until(async () => (await limit()) === null);
  await page().getByText('Budget exceeded').waitFor({ state: 'detached' });
});

// UI-75
test('an import that the server refuses names what is missing, and goes on when it is there', async () => {
  const templates = await server.call<{ dir: string; name: string; required_env: unknown[] }[]>(
    'GET',
    '/org/templates',
  );
  const template = templates.find((one) => one.required_env.length > 0);
  if (!template) throw new Error('no organisation asks for credentials');
  const names = template.required_env.flatMap((one) =>
    typeof one === 'string' ? [one] : ((one as { any_of?: string[] }).any_of ?? []),
  );
  const [first = ''] = names;
  await server.call('PUT', '/settings/secrets', { key: first, value: 'x' });
  await page().getByRole('button', { name: 'Templates' }).click();
  await page().getByRole('button', { name: template.name }).first().click();
  const dialog = page().getByRole('dialog', { name: `Import “${template.name}”` });
  await dialog.getByText('all there').first().waitFor();
  // Somebody else takes it away while the dialog is open.
  await server.call('DELETE', `/settings/secrets/${first}`);
  await dialog.getByRole('button', { name: /^Import \d/ }).click();
  await dialog.getByRole('alert').getByText(first).waitFor();
  await inspect(page(), 'import-refused', '[role=dialog]');
  const field = dialog.getByLabel(first, { exact: true }).first();
  await field.fill('y');
  await field.press('Enter');
  await dialog.getByText('stored').first().waitFor();
  await dialog.getByLabel('Run everybody on').selectOption('echo');
  await dialog.getByRole('button', { name: /^Import \d/ }).click();
  await dialog.waitFor({ state: 'detached' });
  await until(async () => (await server.call<unknown[]>('GET', '/workspaces')).length > 2);
});

/** Processes of the agent of a workspace. */
function agentsOf(id: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const parts = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
        return parts.includes(`WORKSPACE_ID=${id}`) || parts.some((part) => part.includes(id));
      } catch {
        return false;
      }
    })
    .map(Number);
}

test('an agent that is killed is seen to fall, and to come back by itself', async () => {
  const id = await server.idOf('Echo');
  await online('Echo');
  const before = await starts(id);
  const pids = agentsOf(id);
  expect(pids.length).toBeGreaterThan(0);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await until(async () => (await starts(id)) > before);
  // The page may not have heard of the fall yet, nor the new one have begun.
  await until(async () => agentsOf(id).some((pid) => !pids.includes(pid)));
  await online('Echo');
  expect(agentsOf(id).some((pid) => pids.includes(pid))).toBe(false);
});
