import { useQueryClient, type UseQueryResult } from '@tanstack/react-query';
import { KeyRound, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { deleteSecret, putSecret } from '../actions';
import type { SecretView } from '../lib/api';
import { explain } from '../lib/http';
import { Ago, Failed, Field, FormError, Loading } from '../ui/bits';
import { confirm, toast } from '../ui/store';

const NAME = /^[A-Z_][A-Z0-9_]*$/;

/** Heads that keys of well-known providers have; another head is most likely a mistake (UI-123). */
const HEADS: readonly [RegExp, RegExp, string][] = [
  [/^ANTHROPIC_API_KEY$/, /^sk-ant-/, 'Anthropic’s keys begin with “sk-ant-”.'],
  [/^OPENAI_API_KEY$/, /^sk-/, 'OpenAI’s keys begin with “sk-”.'],
  [/^OPENROUTER_API_KEY$/, /^sk-or-/, 'OpenRouter’s keys begin with “sk-or-”.'],
  [/^(GITHUB|GH)_TOKEN$/, /^(gh[pousr]_|github_pat_)/, 'GitHub’s tokens begin with “ghp_” or “github_pat_”.'],
];

export function valueHint(key: string, value: string): string {
  const known = HEADS.find(([name]) => name.test(key));
  return known && value && !known[1].test(value) ? `${known[2]} This one does not; it is stored all the same.` : '';
}

export function Secrets({
  scope,
  own,
  inherited = [],
}: {
  /** The workspace; null for those of all. */
  scope: string | null;
  own: UseQueryResult<SecretView[]>;
  inherited?: readonly SecretView[];
}) {
  const client = useQueryClient();
  const [key, setKey] = useState('');
  const [value, setValue] = useState('');
  const [find, setFind] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const refresh = () => client.invalidateQueries({ predicate: (query) => query.queryKey.includes('secrets') });
  const mine = (own.data ?? []).filter((secret) => scope === null || secret.scope === 'workspace');
  const names = new Set(mine.map((secret) => secret.key));
  const above = inherited.filter((secret) => !names.has(secret.key));
  const shown = [...mine, ...above].filter((secret) => secret.key.toLowerCase().includes(find.toLowerCase()));
  const save = async (event: React.FormEvent) => {
    event.preventDefault();
    setError(null);
    if (!NAME.test(key)) {
      setError('A name is written in capitals, digits and underscores, such as OPENAI_API_KEY.');
      return;
    }
    setBusy(true);
    try {
      await putSecret(scope, key, value);
      setKey('');
      setValue('');
      toast('success', `${key} stored`);
      await refresh();
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  const remove = (name: string) =>
    confirm({
      title: `Delete ${name}?`,
      text:
        scope === null
          ? 'Every workspace that relies on it will miss it from its next start on.'
          : 'The agent will miss it from its next start on.',
      action: 'Delete',
      danger: true,
      run: async () => {
        try {
          await deleteSecret(scope, name);
          await refresh();
        } catch (thrown) {
          toast('error', `${name} was not deleted. ${explain(thrown)}`);
        }
      },
    });
  return (
    <div className="space-y-4">
      <form className="space-y-2" onSubmit={(event) => void save(event)} autoComplete="off">
        <div className="grid grid-cols-2 gap-2">
          <Field label="Name">
            {(ids) => (
              <input
                {...ids}
                className="field font-mono"
                value={key}
                placeholder="OPENAI_API_KEY"
                spellCheck={false}
                onChange={(event) => setKey(event.target.value.trim())}
              />
            )}
          </Field>
          <Field label="Value">
            {(ids) => (
              <input
                {...ids}
                className="field font-mono"
                type="password"
                autoComplete="new-password"
                value={value}
                onChange={(event) => setValue(event.target.value)}
              />
            )}
          </Field>
        </div>
        {valueHint(key, value) && <p className="hint">{valueHint(key, value)}</p>}
        <FormError error={error} />
        <button type="submit" className="btn btn-primary" disabled={!key || !value || busy}>
          {busy ? 'Storing…' : names.has(key) ? 'Replace' : 'Store'}
        </button>
        <p className="hint">Stored encrypted. A value is never shown again, here or anywhere.</p>
      </form>
      {own.isPending && <Loading what="the secrets" />}
      {own.isError && <Failed what="The secrets" error={own.error} retry={() => void own.refetch()} />}
      {mine.length + above.length >= 4 && (
        <input
          className="field"
          type="search"
          aria-label="Find a secret"
          placeholder="Find…"
          value={find}
          onChange={(event) => setFind(event.target.value)}
        />
      )}
      <ul className="divide-y divide-line rounded-xl border border-line empty:hidden">
        {shown.map((secret) => {
          const global = scope !== null && !names.has(secret.key);
          const override = scope !== null && !global && inherited.some((each) => each.key === secret.key);
          return (
            <li key={`${secret.scope}:${secret.key}`} className="flex items-center gap-2 px-3 py-2">
              <KeyRound size={14} className="shrink-0 text-ink-3" aria-hidden />
              <span className="text min-w-0 flex-1 font-mono text-[12.5px]">{secret.key}</span>
              {global && <span className="pill">global</span>}
              {override && <span className="pill">override</span>}
              <Ago at={secret.updated_at} />
              {global ? (
                <button type="button" className="btn h-7 px-2" onClick={() => setKey(secret.key)}>
                  Override
                </button>
              ) : (
                <button
                  type="button"
                  className="btn btn-ghost btn-icon h-7 w-7"
                  aria-label={`Delete ${secret.key}`}
                  onClick={() => remove(secret.key)}
                >
                  <Trash2 size={14} aria-hidden />
                </button>
              )}
            </li>
          );
        })}
      </ul>
      {own.isSuccess && mine.length + above.length === 0 && <p className="text-[13px] text-ink-3">None stored yet.</p>}
    </div>
  );
}
