/** A server of one's own, with real echo agents, and a browser that looks at it. */

import { AxeBuilder } from '@axe-core/playwright';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterEach, expect } from 'vitest';

const BINARY = process.env.MOLECULE_BINARY ?? '';
const CHROMIUM = process.env.MOLECULE_CHROMIUM ?? '';
const ARTIFACTS = join(dirname(fileURLToPath(import.meta.url)), 'artifacts');
/** Milliseconds that anything may take on a loaded machine. */
export const PATIENCE = Number(process.env.MOLECULE_UI_PATIENCE ?? 90_000);

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

export class Server {
  readonly data = mkdtempSync(join(tmpdir(), 'molecule-ui-'));
  port = 0;
  #process: ChildProcess | null = null;
  #token = '';

  /** `env`: settings beside the defaults. */
  constructor(readonly env: Record<string, string> = {}) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    this.port ||= await freePort();
    const log = openSync(join(this.data, 'log'), 'a');
    this.#process = spawn(
      BINARY,
      ['server', '--port', String(this.port), '--data-dir', join(this.data, 'd'), '--backend', 'process'],
      { stdio: ['ignore', log, log], env: { PATH: process.env.PATH ?? '', HOME: this.data, ...this.env } },
    );
    await until(async () => (await fetch(`${this.url}/health`).catch(() => null))?.ok === true);
  }

  /** Ends the server; its agents go on, to be taken over by the next one. */
  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = null;
    if (!running || running.exitCode !== null) return;
    const gone = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGTERM');
    await gone;
  }

  async close(): Promise<void> {
    // Agents outlive a server that is told to stop; without workspaces there are none.
    for (const row of await this.call<{ id: string; parent_id: string | null }[]>('GET', '/workspaces').catch(
      () => [],
    )) {
      if (!row.parent_id) await this.call('DELETE', `/workspaces/${row.id}?confirm=true`).catch(() => null);
    }
    await this.stop();
    rmSync(this.data, { recursive: true, force: true });
  }

  /** A link that signs in once. */
  loginUrl(): string {
    const run = spawnSync(BINARY, ['login', '--json', '--data-dir', join(this.data, 'd')], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH ?? '', HOME: this.data },
    });
    const answer = JSON.parse(run.stdout) as { login_url: string };
    return answer.login_url;
  }

  /** The session of `call` was ended: it signs in again. */
  forget(): void {
    this.#token = '';
  }

  /** Calls the API as the operator. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    if (!this.#token) {
      const code = new URL(this.loginUrl()).hash.slice('#code='.length);
      const login = await fetch(`${this.url}/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ code: decodeURIComponent(code) }),
      });
      this.#token = ((await login.json()) as { session_token: string }).session_token;
    }
    const response = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  async idOf(name: string): Promise<string> {
    const rows = await this.call<{ id: string; name: string }[]>('GET', '/workspaces');
    const found = rows.find((row) => row.name === name);
    if (!found) throw new Error(`no workspace ${name}`);
    return found.id;
  }
}

/** Waits for a state, with a bound. */
export async function until(reached: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!(await reached())) {
    if (Date.now() > end) throw new Error('the state was not reached in time');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export async function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

export interface Visit {
  context: BrowserContext;
  page: Page;
  /** What the page complained about: nothing, if all is well. */
  complaints: string[];
}

/** A profile of one's own: whatever page it opens is waited for as patiently as the first. */
export async function openProfile(browser: Browser): Promise<BrowserContext> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
  context.setDefaultTimeout(PATIENCE);
  profiles.add(context);
  context.on('close', () => profiles.delete(context));
  return context;
}

const profiles = new Set<BrowserContext>();

// What every page showed when a flow failed: on another machine there is nothing else to look at.
afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return;
  mkdirSync(ARTIFACTS, { recursive: true });
  const name = task.name.replaceAll(/[^a-z0-9]+/gi, '-').slice(0, 60);
  const pages = [...profiles].flatMap((context) => context.pages());
  for (const [n, page] of pages.entries())
    await page.screenshot({ path: join(ARTIFACTS, `failed-${name}-${n}.png`) }).catch(() => null);
});

/** A browser of one's own, signed in unless `link` is null. */
export async function visit(browser: Browser, server: Server, link: string | null = server.loginUrl()): Promise<Visit> {
  const context = await openProfile(browser);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // What the server refuses is no fault of the page; a policy that was broken is.
    if (message.type() === 'error' && !/Failed to load resource|WebSocket/.test(message.text()))
      complaints.push(message.text());
  });
  await page.goto(link ?? server.url);
  return { context, page, complaints };
}

export const card = (page: Page, name: string) =>
  page.locator('.react-flow__node', { has: page.locator(`[title="${name}"]`) });

/** Focuses a card for good: what was open before hands the focus back only after it is gone. */
export async function focusCard(page: Page, name: string): Promise<void> {
  const wanted = card(page, name).first();
  await page.locator('[role=dialog], [role=menu]').first().waitFor({ state: 'detached' });
  await until(async () => {
    await wanted.focus();
    return wanted.evaluate(
      (node) =>
        new Promise<boolean>((resolve) => {
          requestAnimationFrame(() => requestAnimationFrame(() => resolve(node === document.activeElement)));
        }),
    );
  });
}

/** Where the head of a card is on the screen. */
export async function boxOf(page: Page, name: string): Promise<{ x: number; y: number }> {
  const box = await page.locator(`.react-flow__node [title="${name}"]`).first().boundingBox();
  if (!box) throw new Error(`${name} is not drawn`);
  return { x: box.x + 5, y: box.y + 5 };
}

/** Waits until a card stands still. */
export async function settled(page: Page, name: string): Promise<void> {
  let last = '';
  await until(async () => {
    const now = JSON.stringify(await boxOf(page, name));
    const same = now === last;
    last = now;
    return same;
  });
}

interface Point {
  x: number;
  y: number;
}

/** Drags from one place to another; `over` looks at it before it is let go. */
export async function drag(page: Page, from: Point, to: Point, over?: () => Promise<void>): Promise<void> {
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move(to.x, to.y, { steps: 12 });
  await over?.();
  await page.mouse.up();
}

/** Opens a card's panel by its head; a team's middle belongs to its members. */
export async function openCard(page: Page, name: string): Promise<void> {
  const panel = page.getByRole('complementary', { name: `Workspace ${name}` });
  // A click on the open one closes it.
  if (await panel.isVisible()) return;
  await page.locator(`.react-flow__node [title="${name}"]`).first().click();
  await panel.waitFor();
}

/** Sends in the open chat. */
export async function say(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: /^Message to/ }).fill(text);
  await page.keyboard.press('Enter');
}

/** No serious or critical finding in what is shown, or in the part of it that is new, in both themes; a picture of each is kept. */
export async function inspect(page: Page, name: string, part = 'html'): Promise<void> {
  mkdirSync(ARTIFACTS, { recursive: true });
  // What is still being read is no picture of anything.
  await until(async () => (await page.locator('[role=status]', { hasText: /Reading .*…/ }).count()) === 0);
  for (const theme of ['dark', 'light']) {
    await page.evaluate((value) => {
      document.documentElement.dataset.theme = value;
    }, theme);
    await page.screenshot({ path: join(ARTIFACTS, `${name}-${theme}.png`) });
    const found = await new AxeBuilder({ page }).include(part).analyze();
    const bad = found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    const told = bad.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`);
    expect(told, `${name}, ${theme}`).toEqual([]);
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  expect(wide, `${name} scrolls sideways`).toBe(false);
  await page.evaluate(() => {
    document.documentElement.dataset.theme = 'dark';
  });
}
