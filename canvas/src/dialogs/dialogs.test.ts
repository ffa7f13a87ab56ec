import { describe, expect, test } from 'vitest';
import type { Connection, Template } from '../lib/api';
import { envOptions, isConfigured, providersOf, runtimesOf } from './models';
import { filled, TABS, tabsOf } from './snippets';
import { existsSync } from 'node:fs';

const template = (more: Partial<Template>): Template => ({
  id: 't',
  name: 't',
  description: '',
  model: '',
  runtime: 'native',
  skill_count: 0,
  skills: [],
  tier: 2,
  ...more,
});

describe('templates', () => {
  // UI-70
  test('runtimes are those of the templates; dead ones are never offered', () => {
    expect(runtimesOf([template({ runtime: '' }), template({ runtime: 'langgraph' })])).toEqual([
      'claude-code',
      'native',
      'exec',
      'echo',
    ]);
    expect(runtimesOf(undefined).slice(0, 4)).toEqual(['claude-code', 'hermes', 'openclaw', 'codex']);
  });

  // UI-109
  test('providers are declared, else derived from the models', () => {
    const models = [{ id: 'anthropic/x' }, { id: 'openai:y' }, { id: 'plain' }];
    expect(providersOf([template({ models })])).toEqual(['anthropic', 'openai']);
    expect(providersOf([template({ models, providers: ['own'] })])).toEqual(['own']);
  });

  // UI-72
  test('one complete set of credentials is enough, and a model without any needs none', () => {
    const models = [
      { id: 'a', required_env: ['A', 'B'] },
      { id: 'b', required_env: ['B', 'A'] },
      { id: 'c', required_env: ['C'] },
    ];
    const options = envOptions(template({ models }));
    expect(options.map((option) => [option.keys, option.models])).toEqual([
      [
        ['A', 'B'],
        ['a', 'b'],
      ],
      [['C'], ['c']],
    ]);
    expect(isConfigured(options, new Set(['A']))).toBe(false);
    expect(isConfigured(options, new Set(['C']))).toBe(true);
    expect(envOptions(template({ models: [...models, { id: 'local' }] }))).toEqual([]);
    expect(isConfigured([], new Set())).toBe(true);
  });
});

describe('connecting an external agent', () => {
  const connection = {
    workspace_id: 'w',
    platform_url: 'http://p',
    auth_token: 'tok-1',
    registry_endpoint: '',
    heartbeat_endpoint: '',
    curl_register_template: 'T="<paste from create response>" # <paste from create response>',
    python_snippet: '',
    codex_snippet: '# token = "<paste from create response>"',
  } as unknown as Connection;

  // UI-77, UI-78
  test('only tabs with a snippet are there, in their order', () => {
    expect(tabsOf(connection).map(({ tab }) => tab.id)).toEqual(['codex', 'curl']);
    expect(TABS[0]?.id).toBe('mcp');
  });

  // UI-79, UI-81
  test('what is copied is ready to run, comments included', () => {
    for (const { text } of tabsOf(connection)) {
      expect(text).toContain('tok-1');
      expect(text).not.toContain('<paste');
      expect(text).not.toContain('MOLECULE_ORG_ID');
    }
    expect(filled('x <paste from create response>', '')).toContain('<paste');
  });

  // UI-83
  test('every tab has an error with its remedy and a guide that exists', () => {
    for (const tab of TABS) {
      expect(tab.errors.length, tab.id).toBeGreaterThan(0);
      expect(existsSync(`../docs/${tab.guide}`), tab.guide).toBe(true);
    }
  });
});
