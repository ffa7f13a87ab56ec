import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ControlPlane } from './control-plane';
import { card, inspect, openBrowser, openProfile, Server } from './harness';

/** The hosted product (UI-4…10, UI-137…139): its pages and a tenant's canvas, behind a scripted control plane. */
const SUFFIX = '.molecule.localhost';
const server = new Server();
const dist = mkdtempSync(join(tmpdir(), 'molecule-hosted-'));
let plane: ControlPlane;
let browser: Browser;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..');
  process.env.NEXT_PUBLIC_SAAS_HOST_SUFFIX = SUFFIX;
  process.env.NEXT_PUBLIC_PRICES = 'free=$0,pro=$20';
  const [mode] = [process.env.NODE_ENV];
  process.env.NODE_ENV = 'production';
  await build({ root, logLevel: 'error', build: { outDir: dist, emptyOutDir: true } });
  process.env.NODE_ENV = mode;
  await server.start();
  await server.call('POST', '/workspaces', { name: 'Tenant', runtime: 'external', external: true });
  const { auth_token: bearer } = await server.call<{ auth_token: string }>('POST', '/org/tokens', { name: 'edge' });
  plane = new ControlPlane(dist, SUFFIX, { port: server.port, bearer });
  await plane.start();
  browser = await openBrowser();
  context = await openProfile(browser);
  page = await context.newPage();
}, 180_000);

afterAll(async () => {
  await browser.close();
  plane.stop();
  await server.close();
  rmSync(dist, { recursive: true, force: true });
});

// UI-10
test('nothing of a tenant is shown to whoever is not signed in, and they come back to where they were', async () => {
  const seen: string[] = [];
  page.on('request', (request) => seen.push(new URL(request.url()).pathname));
  await page.goto(`${plane.origin('acme')}/?from=mail`);
  await card(page, 'Tenant').waitFor();
  expect(page.url()).toBe(`${plane.origin('acme')}/?from=mail`);
  expect(plane.calls[0]).toBe('GET /cp/auth/me');
  expect(plane.calls[1]).toBe('GET /cp/auth/login');
  // Until then nothing was asked for but the page itself.
  const before = seen.slice(0, seen.indexOf('/cp/auth/login'));
  expect(before.filter((path) => path !== '/' && !path.startsWith('/assets/') && path !== '/cp/auth/me')).toEqual([]);
  await page.getByText('Live', { exact: true }).waitFor();
});

// UI-139
test('consent is asked for once, and again only when the policy changes', async () => {
  const consent = page.getByRole('region', { name: 'Cookies and storage' });
  await consent.waitFor();
  await inspect(page, 'hosted-consent', 'section[aria-label="Cookies and storage"]');
  await page.setViewportSize({ width: 380, height: 760 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)).toBe(true);
  await page.setViewportSize({ width: 1280, height: 800 });
  await consent.getByRole('button', { name: 'Only what is needed' }).click();
  await page.reload();
  await card(page, 'Tenant').waitFor();
  expect(await consent.count()).toBe(0);
  await page.evaluate(() => localStorage.setItem('molecule.consent', '{"policy":0,"optional":true}'));
  await page.reload();
  await consent.getByRole('button', { name: 'Only what is needed' }).click();
});

// UI-5, UI-8
test('one refused call signs nobody out; a session that has ended leads to the login page', async () => {
  const headers: Record<string, string>[] = [];
  page.on('request', (request) => {
    if (request.url().endsWith('/tokens')) headers.push(request.headers());
  });
  await page.route('**/workspaces/*/tokens', (route) =>
    route.fulfill({ status: 401, contentType: 'application/json', body: '{"error":"admin auth required"}' }),
  );
  await card(page, 'Tenant').locator('[title="Tenant"]').click();
  await page.getByRole('tab', { name: 'Tokens' }).click();
  await page.getByRole('alert').getByText('The tokens could not be read.').waitFor();
  expect(headers[0]?.['x-molecule-org-slug']).toBe('acme');
  expect(page.url()).toContain(plane.origin('acme'));
  await page.unroute('**/workspaces/*/tokens');
  plane.answers.set('GET /cp/auth/login', { status: 200, body: { here: 'one signs in' } });
  await context.clearCookies();
  await page.getByRole('tab', { name: 'Events' }).click();
  await page.waitForURL(/\/cp\/auth\/login\?return_to=/);
  plane.answers.clear();
});

// UI-137
test('organisations: terms first, then one is created, paid for, and opened', async () => {
  await page.goto(`${plane.origin('app')}/orgs`);
  await page.getByRole('heading', { name: 'Before you begin' }).waitFor();
  await inspect(page, 'orgs-terms');
  await page.getByRole('button', { name: 'I accept them' }).click();
  await page.getByText('You have none yet.').waitFor();
  const consent = page.getByRole('region', { name: 'Cookies and storage' });
  if (await consent.isVisible()) await consent.getByRole('button', { name: 'Allow' }).click();
  await page.getByLabel('Name').fill('Acme & Söhne');
  expect(await page.getByLabel('Address').inputValue()).toBe('acme-sohne');
  await page.getByLabel('Address').fill('1x');
  await page.getByText('a letter first').waitFor();
  expect(await page.getByRole('button', { name: 'Create' }).isDisabled()).toBe(true);
  await page.getByLabel('Address').fill('acme-two');
  await page.getByRole('button', { name: 'Create' }).click();
  const mine = page.getByRole('list', { name: 'Organisations' }).getByRole('listitem').filter({ hasText: 'acme-two' });
  await mine.getByText('Awaiting payment').waitFor();
  plane.orgs.push(
    { slug: 'acme', name: 'Acme', status: 'running', credits_balance: 1_234 },
    { slug: 'broken', name: 'Broken', status: 'failed', credits_balance: 0 },
  );
  // Watched while something is on its way.
  await page.getByText('1,234 credits').waitFor();
  await inspect(page, 'orgs');
  expect(await page.getByRole('link', { name: 'Contact support' }).getAttribute('href')).toContain('mailto:');
  plane.answers.set('POST /cp/billing/checkout', { status: 502, body: { error: 'stripe said: sk_live_123' } });
  await mine.getByRole('button', { name: 'Complete payment' }).click();
  await page.getByText(/The payment of “Acme & Söhne” could not be begun/).waitFor();
  expect(await page.content()).not.toContain('sk_live');
  plane.answers.clear();
  await mine.getByRole('button', { name: 'Complete payment' }).click();
  await page.waitForURL(/\/checkout\?plan=&org=acme-two/);
  await page.goto(`${plane.origin('app')}/orgs`);
  const open = page.getByRole('link', { name: 'Open' });
  expect(await open.getAttribute('href')).toBe(plane.origin('acme'));
  await open.click();
  await card(page, 'Tenant').waitFor();
});

test('an organisation that cannot be created says why, and keeps what was typed', async () => {
  await page.goto(`${plane.origin('app')}/orgs`);
  plane.answers.set('POST /cp/orgs', { status: 409, body: { error: 'slug is taken' } });
  await page.getByLabel('Name').fill('Taken');
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('alert').getByText('“Taken” was not created. Slug is taken.').waitFor();
  expect(await page.getByLabel('Name').inputValue()).toBe('Taken');
  plane.answers.clear();
  plane.answers.set('GET /cp/orgs', { status: 500, body: { error: 'down' } });
  await page.reload();
  await page.getByText('Your organisations could not be read. Down.').waitFor();
  plane.answers.clear();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('Running').waitFor();
});

// UI-138
test('plans: checkout for whoever is signed in, signing up for others', async () => {
  await page.goto(`${plane.origin('app')}/pricing`);
  await page.getByText('$20').waitFor();
  expect(await page.getByRole('heading', { level: 2 }).count()).toBe(3);
  await inspect(page, 'pricing');
  await page.setViewportSize({ width: 380, height: 760 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)).toBe(true);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.getByRole('button', { name: 'Choose Team' }).click();
  await page.waitForURL(/\/checkout\?plan=pro/);
  await context.clearCookies();
  await page.goto(`${plane.origin('app')}/pricing`);
  plane.answers.set('GET /cp/auth/login', { status: 200, body: {} });
  await page.getByRole('button', { name: 'Sign up for Team' }).click();
  await page.waitForURL(/\/cp\/auth\/login\?return_to=.*screen=signup/);
});
