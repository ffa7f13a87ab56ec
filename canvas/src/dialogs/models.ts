/** What templates say of runtimes, models, providers and the credentials they need. */

import type { Template } from '../lib/api';

/** Offered while the templates cannot be read (UI-70). */
const FALLBACK = ['claude-code', 'hermes', 'openclaw', 'codex'];
/** Of the older product; they do not run here (UI-70). */
const GONE = new Set(['langgraph', 'crewai', 'autogen', 'deepagents', 'gemini-cli']);
/** Built into the binary, so that they are offered with any templates. */
const BUILT_IN = ['native', 'exec', 'echo'];

/** Runtimes to choose from. */
export function runtimesOf(templates: readonly Template[] | undefined): string[] {
  const named = (templates ?? [])
    .map((template) => template.runtime || 'claude-code')
    .filter((name) => name !== 'external');
  const known = named.length > 0 ? named : FALLBACK;
  return [...new Set([...known, ...BUILT_IN])].filter((name) => !GONE.has(name.toLowerCase()));
}

/** The provider that an id of a model names: what stands before its first `/`, else before its first `:`. */
export function providerOfModel(model: string): string {
  const slash = model.indexOf('/');
  if (slash > 0) return model.slice(0, slash);
  const colon = model.indexOf(':');
  return colon > 0 ? model.slice(0, colon) : '';
}

/** Providers to suggest: declared ones, else those of the models' prefixes (UI-109). */
export function providersOf(templates: readonly Template[]): string[] {
  const declared = templates.flatMap((template) => [
    ...(Array.isArray(template.providers) ? template.providers : []),
    ...(Array.isArray(template.provider_registry) ? template.provider_registry.map((entry) => entry.name ?? '') : []),
  ]);
  const derived = templates.flatMap((template) =>
    (template.models ?? []).map((model) => providerOfModel(model.id ?? '')),
  );
  return [...new Set((declared.some(Boolean) ? declared : derived).filter(Boolean))];
}

export interface EnvOption {
  /** All of these are needed. */
  keys: readonly string[];
  /** Models that need just these. */
  models: readonly string[];
}

/**
 * The distinct sets of credentials with which a template can run, in its own order (UI-72). An empty list: none is needed,
 * or one of its models needs none.
 */
export function envOptions(template: Template | undefined): EnvOption[] {
  if (!template) return [];
  const models = template.models ?? [];
  if (models.length > 0) {
    const sets = new Map<string, { keys: readonly string[]; models: string[] }>();
    for (const model of models) {
      const keys = model.required_env ?? [];
      const id = [...keys].sort().join('\n');
      const known = sets.get(id) ?? { keys, models: [] };
      known.models.push(model.id ?? '');
      sets.set(id, known);
    }
    return sets.has('') ? [] : [...sets.values()];
  }
  return (template.required_env ?? []).map((key) => ({ keys: [key], models: [] }));
}

/** Whether one of the options is complete. No option asks for nothing. */
export function isConfigured(options: readonly EnvOption[], stored: ReadonlySet<string>): boolean {
  return options.length === 0 || options.some((option) => option.keys.every((key) => stored.has(key)));
}
