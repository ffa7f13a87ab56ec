import type { Browser, Page, Route } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { card, inspect, openBrowser, openCard, say, Server, until, visit, type Visit } from './harness';

/** What goes wrong outside of the page, and what others write into it. */
const server = new Server();
let browser: Browser;
let me: Visit;

const SCRIPT = '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">';
const WORD = 'x'.repeat(10_000);
const RTL = 'שלום עולם \u202Eabc\u202C';
const ZERO = 'a\u200Bb\u200Dc\uFEFFd';
const EMOJI = '👩‍🚀🏳️‍🌈👨‍👩‍👧‍👦';
const MARKS = `z${'\u0301\u0302\u0303\u0304'.repeat(500)}`;
const HOSTILE = [SCRIPT, WORD, RTL, ZERO, EMOJI, MARKS].join(' ');

let partner = { id: '', token: '' };

beforeAll(async () => {
  await server.start();
  browser = await openBrowser();
  await server.call('POST', '/workspaces', { name: 'Echo', runtime: 'echo', canvas: { x: 40, y: 40 } });
  const created = await server.call<{ id: string; connection: { auth_token: string } }>('POST', '/workspaces', {
    name: `${RTL.slice(0, 9)} ${EMOJI} ${'w'.repeat(200)}`.replaceAll(/\p{Cf}/gu, ''),
    role: HOSTILE.slice(0, 900),
    runtime: 'external',
    external: true,
    canvas: { x: 340, y: 40 },
  });
  partner = { id: created.id, token: created.connection.auth_token };
  me = await visit(browser, server);
  await card(page(), 'Echo').and(page().locator('[aria-label*="Online"]')).waitFor();
});

afterAll(async () => {
  expect(me.complaints).toEqual([]);
  await browser.close();
  await server.close();
});

const page = () => me.page;

const answer =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  (route: Route) =>
    route.fulfill({ status, headers, contentType: 'application/json', body: JSON.stringify(body) });

/** Nothing ran, nothing sticks out. */
async function sound(on: Page = page()): Promise<void> {
  expect(await on.title()).toBe('Molecule');
  expect(await on.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)).toBe(true);
}

/** As the agent that it is, the partner says what it likes. */
async function partnerSays(path: string, body: unknown): Promise<void> {
  const said = await fetch(server.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${partner.token}`, 'content-type': 'application/json', origin: server.url },
    body: JSON.stringify(body),
  });
  expect(said.status, await said.text()).toBeLessThan(300);
}

test('names, roles, cards, tasks and errors of agents run nothing and stay inside their boxes', async () => {
  const skill = { id: SCRIPT, name: HOSTILE.slice(0, 2_000), description: HOSTILE.slice(0, 4_000), tags: [] };
  await partnerSays('/registry/register', {
    id: partner.id,
    url: '',
    delivery_mode: 'poll',
    agent_card: { name: SCRIPT, version: '1', description: HOSTILE.slice(0, 3_000), skills: Array(12).fill(skill) },
  });
  await partnerSays('/registry/heartbeat', {
    workspace_id: partner.id,
    error_rate: 0.9,
    sample_error: `${SCRIPT} ${WORD}`.slice(0, 4_000),
    active_tasks: 3,
    current_task: HOSTILE.slice(0, 3_000),
    uptime_seconds: 5,
  });
  const theirs = page().locator(`.react-flow__node[data-id="${partner.id}"]`);
  await theirs.and(page().locator('[aria-label*="Degraded"]')).waitFor();
  await page().getByRole('button', { name: 'Fit View' }).click();
  await theirs.click({ position: { x: 30, y: 12 } });
  for (const tab of ['Details', 'Activity', 'Events', 'Config', 'Danger', 'Chat']) {
    await page().getByRole('tab', { name: tab }).click();
    await page().getByRole('tabpanel', { name: tab }).waitFor();
    await sound();
  }
  await page().getByRole('tab', { name: 'Details' }).click();
  await inspect(page(), 'hostile-agent');
  await page().keyboard.press('Control+k');
  await page().getByRole('option').first().waitFor();
  await sound();
  await inspect(page(), 'hostile-palette', '[role=dialog]');
  await page().keyboard.press('Escape');
});

test.each([
  ['script tags', SCRIPT],
  ['a word of ten thousand letters', WORD],
  ['text from right to left', RTL],
  ['characters of no width', ZERO],
  ['emoji of many parts', EMOJI],
  ['marks upon marks', MARKS],
  ['a link that is a script', '[click](javascript:document.title="owned") <javascript:alert(1)>'],
  ['a picture of another host', '![](http://127.0.0.1:9/spy.png)'],
  ['a code block of a thousand lines', `\`\`\`js\n${'const line = "<b>";\n'.repeat(1_000)}\`\`\``],
  ['a table of a hundred columns', `|${'a|'.repeat(100)}\n|${'-|'.repeat(100)}\n|${'b|'.repeat(100)}`],
  ['brackets within brackets', '['.repeat(5_000)],
  ['quotes within quotes', '>'.repeat(3_000)],
])('a message of %s is only text', async (_, text) => {
  await openCard(page(), 'Echo');
  await page().getByRole('tab', { name: 'Chat' }).click();
  const bubbles = page().getByRole('region', { name: 'Messages' }).locator('ol > li');
  const before = await bubbles.count();
  await say(page(), text);
  // The question, and its echo.
  await until(async () => (await bubbles.count()) >= before + 2);
  await page().getByRole('button', { name: 'Send' }).waitFor();
  expect(await page().getByRole('region', { name: 'Messages' }).locator('img, script, iframe').count()).toBe(0);
  await sound();
});

test('what hostile messages look like', async () => {
  await inspect(page(), 'hostile-chat');
});

test('a reading that fails says so where it is read, and can be tried again', async () => {
  await openCard(page(), 'Echo');
  const activity = '**/workspaces/*/activity?limit=100*';
  await page().route(activity, answer(500, { error: 'query failed' }));
  await page().getByRole('tab', { name: 'Activity' }).click();
  const alert = page().getByRole('tabpanel', { name: 'Activity' }).getByRole('alert');
  await alert.getByText('The activity could not be read. Query failed.').waitFor();
  await inspect(page(), 'failed-tab', 'aside');
  // The rest stays usable.
  await page().getByRole('tab', { name: 'Details' }).click();
  await page().getByLabel('Name').waitFor();
  await page().getByRole('tab', { name: 'Activity' }).click();
  await page().unroute(activity);
  await alert.getByRole('button', { name: 'Try again' }).click();
  await page().getByRole('tabpanel', { name: 'Activity' }).getByRole('listitem').first().waitFor();
});

// UI-7
test('a reading that comes too often is made once more, after the time that the server says', async () => {
  await openCard(page(), 'Echo');
  let refused = 0;
  await page().route('**/workspaces/*/tokens', (route) => {
    refused += 1;
    return refused === 1
      ? answer(429, { error: 'rate limit exceeded' }, { 'retry-after': '1' })(route)
      : route.fallback();
  });
  await page().getByRole('tab', { name: 'Tokens' }).click();
  await page()
    .getByRole('tabpanel', { name: 'Tokens' })
    .getByText('never used')
    .or(page().getByText('used '))
    .first()
    .waitFor();
  expect(refused).toBe(2);
  await page().unroute('**/workspaces/*/tokens');
});

test('a change that comes too often is not made again by itself, and says when to', async () => {
  await openCard(page(), 'Echo');
  await page().getByRole('tab', { name: 'Details' }).click();
  let asked = 0;
  await page().route('**/workspaces/*', (route) => {
    if (route.request().method() !== 'PATCH') return route.fallback();
    asked += 1;
    return answer(429, { error: 'rate limit exceeded' }, { 'retry-after': '7' })(route);
  });
  await page().getByLabel('Role').fill('Repeats what is said');
  await page().getByRole('button', { name: 'Save' }).click();
  await page().getByRole('alert').getByText('Too many requests. Try again in 7 s.').waitFor();
  expect(asked).toBe(1);
  // What was typed is still there.
  expect(await page().getByLabel('Role').inputValue()).toBe('Repeats what is said');
  await page().unroute('**/workspaces/*');
  await page().getByRole('button', { name: 'Save' }).click();
  await page().getByText('Saved', { exact: true }).waitFor();
});

test('a server that does not answer is said to, within its time', async () => {
  await openCard(page(), 'Echo');
  await page().route('**/events/*', () => undefined);
  await page().getByRole('tab', { name: 'Events' }).click();
  await page()
    .getByRole('alert')
    .getByText(/did not answer within 15 s/)
    .waitFor();
  await page().unroute('**/events/*');
  await page().getByRole('alert').getByRole('button', { name: 'Try again' }).click();
  await page().getByRole('tabpanel', { name: 'Events' }).getByRole('listitem').first().waitFor();
});

// UI-125
test('a workspace that is gone is let go, with the server’s own words', async () => {
  const { id } = await server.call<{ id: string }>('POST', '/workspaces', {
    name: 'Leaving',
    runtime: 'external',
    external: true,
    canvas: { x: 40, y: 300 },
  });
  await card(page(), 'Leaving').waitFor();
  await page().getByRole('button', { name: 'Fit View' }).click();
  await openCard(page(), 'Leaving');
  await page().getByRole('tab', { name: 'Details' }).click();
  const gone = { error: 'workspace removed', id, removed_at: null, hint: 'It was deleted by the operator' };
  await page().route(`**/workspaces/${id}`, answer(410, gone));
  await page().getByLabel('Role').fill('x');
  await page().getByRole('button', { name: 'Save' }).click();
  await page()
    .getByText(/“Leaving” was removed \(time unknown\)\. It was deleted by the operator/)
    .waitFor();
  await page().getByRole('complementary', { name: 'Workspace Leaving' }).waitFor({ state: 'detached' });
  await page().unroute(`**/workspaces/${id}`);
  await server.call('DELETE', `/workspaces/${id}?confirm=true`);
});

// UI-9, UI-12
test('an organisation that cannot be read is a page with one button', async () => {
  const tab = await me.context.newPage();
  const list = '**/workspaces';
  await tab.route(list, answer(500, { error: 'query failed' }));
  await tab.goto(server.url);
  const problem = tab.getByTestId('hydration-error');
  await problem.getByText('Query failed.').waitFor();
  await inspect(tab, 'unreadable');
  await tab.unroute(list);
  await tab.route(list, answer(503, { error: 'platform unavailable', code: 'platform_unavailable' }));
  await problem.getByRole('button', { name: 'Try again' }).click();
  await problem.getByText('The platform cannot reach its database').waitFor();
  await tab.unroute(list);
  await problem.getByRole('button', { name: 'Try again' }).click();
  await card(tab, 'Echo').waitFor();
  await tab.close();
});

// UI-65
test('a workspace that is not created keeps what was typed', async () => {
  await page().keyboard.press('Escape');
  await page().getByRole('button', { name: 'New workspace' }).click();
  const dialog = page().getByRole('dialog', { name: 'New workspace' });
  await page().route('**/workspaces', (route) =>
    route.request().method() === 'POST'
      ? answer(500, { error: 'failed to create workspace' })(route)
      : route.fallback(),
  );
  await dialog.getByLabel('Name').fill('Unlucky');
  await dialog.getByRole('button', { name: /^Create/ }).click();
  await dialog.getByRole('alert').getByText('Failed to create workspace.').waitFor();
  expect(await dialog.getByLabel('Name').inputValue()).toBe('Unlucky');
  await page().unroute('**/workspaces');
  await page().keyboard.press('Escape');
});

// UI-8, D2
test('a session that is revoked ends in both tabs, and signing in again in one of them brings both back', async () => {
  const first = await visit(browser, server);
  await card(first.page, 'Echo').waitFor();
  const second = await first.context.newPage();
  await second.goto(server.url);
  await card(second, 'Echo').waitFor();
  const token = await first.page.evaluate(() => localStorage.getItem('molecule.session'));
  const revoked = await fetch(`${server.url}/auth/logout`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
  expect(revoked.ok).toBe(true);
  for (const tab of [first.page, second]) {
    await tab.getByLabel('Login link or code').waitFor();
    // One message, and it says what to do.
    expect(await tab.getByRole('alert').count()).toBe(1);
  }
  await first.page.getByLabel('Login link or code').fill(server.loginUrl());
  await first.page.getByRole('button', { name: 'Sign in' }).click();
  await card(first.page, 'Echo').waitFor();
  await card(second, 'Echo').waitFor();
  await first.context.close();
});

test('a tab that is refused while another one signs in comes in with that one', async () => {
  const first = await visit(browser, server, null);
  await first.page.getByLabel('Login link or code').waitFor();
  const second = await first.context.newPage();
  let signedIn = () => {};
  const other = new Promise<void>((resolve) => {
    signedIn = resolve;
  });
  // What is asked without a session is answered when there is one.
  const asked: string[] = [];
  const hold = async (route: Route) => {
    asked.push(new URL(route.request().url()).pathname);
    if (!route.request().headers().authorization) await other;
    await route.continue();
  };
  await second.route('**/workspaces', hold);
  await second.route('**/canvas/viewport', hold);
  await second.goto(server.url);
  await until(async () => asked.length === 2);
  await first.page.getByLabel('Login link or code').fill(server.loginUrl());
  await first.page.getByRole('button', { name: 'Sign in' }).click();
  await card(first.page, 'Echo').waitFor();
  await second.waitForFunction(() => localStorage.getItem('molecule.session') !== null);
  signedIn();
  await card(second, 'Echo').waitFor();
  expect(asked.filter((path) => path === '/workspaces').length).toBeGreaterThan(1);
  await first.context.close();
});
