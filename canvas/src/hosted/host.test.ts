import { describe, expect, test } from 'vitest';
import { appOrigin, isHosted, loginAddress, SLUG, slugFrom, slugOf, tenantOrigin } from './host';

// UI-4
describe('whose host it is', () => {
  const own = { NEXT_PUBLIC_SAAS_HOST_SUFFIX: '.example.net' };

  test.each([
    ['acme.moleculesai.app', {}, 'acme'],
    ['ACME.moleculesai.app', {}, 'acme'],
    ['app.moleculesai.app', {}, null],
    ['docs.moleculesai.app', {}, null],
    ['moleculesai.app', {}, null],
    ['127.0.0.1', {}, null],
    ['localhost', { NEXT_PUBLIC_DEFAULT_ORG_SLUG: 'dev' }, 'dev'],
    ['acme.example.net', own, 'acme'],
    ['acme.moleculesai.app', own, null],
    ['evilmoleculesai.app', {}, null],
  ])('%s', (host, env, slug) => expect(slugOf(host, env)).toBe(slug));

  test('somebody’s own server is not hosted', () => {
    expect(isHosted('localhost', {})).toBe(false);
    expect(isHosted('app.moleculesai.app', {})).toBe(true);
    expect(isHosted('acme.moleculesai.app', {})).toBe(true);
  });

  // UI-10
  test('who has to sign in comes back to where they were', () => {
    const at = new URL('http://acme.moleculesai.app:81/x?y=1#z') as unknown as Location;
    expect(appOrigin(at, {})).toBe('http://app.moleculesai.app:81');
    expect(tenantOrigin('b', at, {})).toBe('http://b.moleculesai.app:81');
    expect(loginAddress(at, {})).toBe(
      'http://app.moleculesai.app:81/cp/auth/login?return_to=http%3A%2F%2Facme.moleculesai.app%3A81%2Fx%3Fy%3D1%23z',
    );
  });
});

// UI-137
test.each([
  ['Acme Corp.', 'acme-corp'],
  ['  42 Ünïts & Co  ', 'units-co'],
  ['***', ''],
  ['a'.repeat(60), 'a'.repeat(32)],
])('%s becomes a slug', (name, slug) => {
  expect(slugFrom(name)).toBe(slug);
  if (slug.length > 2) expect(slug).toMatch(SLUG);
});
