import { appendFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, test } from 'vitest';
import { openBrowser, Server, until, visit } from '../e2e/harness';
import { median, percentile, traced } from './trace';

/** What the canvas costs the browser: first view, panning, a storm of events, and an organisation of two thousand. */
const server = new Server({ MOLECULE_CREDENTIAL_RATE: '0' });
let browser: Browser;

interface Agent {
  id: string;
  token: string;
}

const agents: Agent[] = [];

/** One line of JSON, as all figures of `make bench` are. */
function figure(name: string, value: number, unit: string, below: number | null, more: Record<string, number> = {}) {
  const rounded = (n: number) => Number(n.toPrecision(4));
  const target = below === null ? {} : { target_below: below, met: value < below };
  const rest = Object.fromEntries(Object.entries(more).map(([key, one]) => [key, rounded(one)]));
  const line = JSON.stringify({ figure: name, value: rounded(value), unit, ...target, ...rest });
  appendFileSync(process.env.MOLECULE_FIGURES ?? '/dev/stdout', `${line}\n`);
}

/** External workspaces: roots of twenty teams of twenty-four each, so many as are wanted in all. */
async function grow(total: number): Promise<void> {
  const create = async (name: string, parent: string | null): Promise<string> => {
    const body = { name, role: 'Watches, answers and reports', runtime: 'external', external: true, parent_id: parent };
    const made = await server.call<{ id: string; connection: { auth_token: string } }>('POST', '/workspaces', body);
    agents.push({ id: made.id, token: made.connection.auth_token });
    return made.id;
  };
  let lead: string | null = null;
  let team: string | null = null;
  const leaves: [string, string][] = [];
  for (let n = agents.length; n < total; n += 1) {
    if (n % 100 === 0) lead = await create(`Division ${n / 100}`, null);
    else if (n % 20 === 1) team = await create(`Team ${n}`, lead);
    else leaves.push([`Agent ${n}`, team ?? lead ?? '']);
  }
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let leaf = leaves.pop(); leaf; leaf = leaves.pop()) await create(...leaf);
    }),
  );
}

/** Signs every agent on, so that it is online and may beat. */
async function register(some: readonly Agent[]): Promise<void> {
  const queue = [...some];
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let agent = queue.pop(); agent; agent = queue.pop()) {
        const card = { name: 'agent', version: '1.0.0', skills: [{ id: 's', name: 'Search' }] };
        await beat(agent, '/registry/register', { id: agent.id, url: '', delivery_mode: 'poll', agent_card: card });
      }
    }),
  );
}

async function beat(agent: Agent, path: string, body: unknown): Promise<void> {
  const answer = await fetch(server.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${agent.token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
}

/** Opens the canvas anew in a browser that is signed in. What it took until the first card was painted, and its bytes. */
async function open(page: Page): Promise<{ firstCardMs: number; script: number }> {
  let script = 0;
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Network.enable');
  await cdp.send('Network.setCacheDisabled', { cacheDisabled: true });
  const scripts = new Set<string>();
  cdp.on('Network.responseReceived', ({ requestId, response }) => {
    if (/javascript/.test(response.mimeType)) scripts.add(requestId);
  });
  cdp.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (scripts.has(requestId)) script += encodedDataLength;
  });
  await page.addInitScript(() => {
    const look = () => {
      if (!document.querySelector('.react-flow__node')) requestAnimationFrame(look);
      // The frame after the one that drew it: it is on the screen by then.
      else
        requestAnimationFrame(() => {
          performance.mark('molecule-first-card');
          (window as { firstCard?: number }).firstCard = performance.now();
        });
    };
    requestAnimationFrame(look);
  });
  await page.goto(server.url);
  await page.waitForFunction(() => (window as { firstCard?: number }).firstCard !== undefined);
  const firstCardMs = await page.evaluate(() => (window as { firstCard?: number }).firstCard ?? 0);
  await page.getByText('Live', { exact: true }).waitFor();
  await page.waitForTimeout(1_500);
  await cdp.detach();
  return { firstCardMs, script };
}

/** Drags the chart about for three seconds. */
async function pan(page: Page): Promise<void> {
  // Held by a place that is no card: a card would be moved itself.
  const held = await page.evaluate(() => {
    for (let y = 60; y < 780; y += 6)
      for (let x = 330; x < 1_040; x += 6)
        if (document.elementFromPoint(x, y)?.classList.contains('react-flow__pane')) return { x, y };
    return null;
  });
  if (!held) throw new Error('the chart has no free place');
  const view = () => page.locator('.react-flow__viewport').evaluate((node) => node.style.transform);
  const before = await view();
  await page.mouse.move(held.x, held.y);
  await page.mouse.down({ button: 'left' });
  const end = Date.now() + 3_000;
  for (let n = 1; Date.now() < end; n += 1) {
    await page.mouse.move(held.x + 220 * Math.sin(n / 9), held.y + 140 * Math.sin(n / 7));
    // As often as a screen shows frames; what a mouse sends beyond that the browser makes one movement of.
    await page.waitForTimeout(16);
  }
  const after = await view();
  await page.mouse.up();
  if (before === after) throw new Error('the chart did not move');
}

/** All of the chart in sight. */
async function fitted(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Fit View' }).click();
  await page.waitForTimeout(600);
}

beforeAll(async () => {
  await server.start();
  browser = await openBrowser();
});

afterAll(async () => {
  await browser.close();
  await server.close();
});

test('five hundred workspaces', async () => {
  await grow(500);
  await register(agents);
  const { page, context } = await visit(browser, server);
  await page.getByText('Live', { exact: true }).waitFor();
  const opened = [];
  for (let round = 0; round < 3; round += 1) {
    const tab = await context.newPage();
    opened.push(await open(tab));
    await tab.close();
  }
  const watched = await context.newPage();
  const opening = await traced(browser, watched, async () => void (await open(watched)));
  await watched.close();
  // On a machine that does other things too, the processor time says what the page itself takes.
  figure('canvas_first_card', median(opened.map((one) => one.firstCardMs)), 'ms', 1_000, {
    main_thread_cpu: opening.untilMarkCpuMs ?? 0,
    workspaces: 500,
  });
  figure('canvas_script', (opened[0]?.script ?? 0) / 1_024, 'KiB', 450);

  const tab = await context.newPage();
  await open(tab);
  await fitted(tab);
  const panning = await traced(browser, tab, () => pan(tab));
  figure('canvas_pan_frame_cpu', median(panning.frameCpuMs), 'ms', 8, {
    p95: percentile(panning.frameCpuMs, 0.95),
    frames: panning.frameCpuMs.length,
    longest_task: Math.max(...panning.cpuMs),
    workspaces: 500,
  });

  // Two hundred events a second: changes of tasks, each of them shown on a card.
  let sent = 0;
  const storm = await traced(browser, tab, async () => {
    const end = Date.now() + 5_000;
    const begin = Date.now();
    const under = new Set<Promise<void>>();
    while (Date.now() < end) {
      const due = Math.floor((Date.now() - begin) / 5);
      for (; sent < due; sent += 1) {
        const agent = agents[sent % agents.length];
        if (!agent) break;
        const work: Promise<void> = beat(agent, '/registry/heartbeat', {
          workspace_id: agent.id,
          error_rate: 0,
          sample_error: '',
          active_tasks: (sent % 3) + 1,
          current_task: `Task ${sent}`,
          uptime_seconds: 60,
        }).finally(() => under.delete(work));
        under.add(work);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all(under);
  });
  figure('canvas_storm_longest_task', Math.max(...storm.cpuMs), 'ms', 100, {
    wall: Math.max(...storm.wallMs),
    events_per_second: sent / 5,
    workspaces: 500,
  });
  await context.close();
}, 300_000);

test('two thousand workspaces', async () => {
  await grow(2_000);
  const { page, context } = await visit(browser, server);
  await page.getByText('Live', { exact: true }).waitFor();
  const tab = await context.newPage();
  const opening = await traced(browser, tab, async () => {
    const { firstCardMs } = await open(tab);
    figure('canvas_first_card_2000', firstCardMs, 'ms', null, { workspaces: 2_000 });
  });
  figure('canvas_open_2000_longest_task', Math.max(...opening.cpuMs), 'ms', null, {
    wall: Math.max(...opening.wallMs),
  });
  await fitted(tab);
  const far = await traced(browser, tab, () => pan(tab));
  figure('canvas_pan_2000_frame_cpu', median(far.frameCpuMs), 'ms', null, {
    p95: percentile(far.frameCpuMs, 0.95),
    longest_task: Math.max(...far.cpuMs),
  });
  // Near enough to read: only what is in sight is drawn.
  await tab.keyboard.press('Control+k');
  await tab.getByRole('combobox').waitFor();
  await tab.keyboard.type('Agent 1042');
  await tab.keyboard.press('Enter');
  await until(async () => (await tab.locator('.react-flow__node').count()) < 400);
  const drawn = await tab.locator('.react-flow__node').count();
  await tab.keyboard.press('Escape');
  const near = await traced(browser, tab, () => pan(tab));
  figure('canvas_pan_2000_near_frame_cpu', median(near.frameCpuMs), 'ms', null, {
    p95: percentile(near.frameCpuMs, 0.95),
    cards_drawn: drawn,
  });
  await context.close();
}, 400_000);
