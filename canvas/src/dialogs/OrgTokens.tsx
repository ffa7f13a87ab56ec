import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { nameOf } from '../actions';
import { http } from '../app';
import type { OrgTokenView, Workspace } from '../lib/api';
import { explain } from '../lib/http';
import { list, obj, str } from '../lib/json';
import { ago, cut, sentence, when } from '../lib/text';
import { useOrg } from '../store/org';
import { CopyButton, Failed, Field, FormError, Loading } from '../ui/bits';
import { confirm, toast } from '../ui/store';

/** Roots, and whoever leads a team: what a token may be bound to, by name. */
function leads(rows: Iterable<Workspace>): Workspace[] {
  const all = [...rows];
  const above = new Set(all.map((row) => row.parent_id));
  return all.filter((row) => !row.parent_id || above.has(row.id)).sort((a, b) => a.name.localeCompare(b.name));
}

/** For how long a token may live, seconds; "" until it is revoked. */
const LIVES: readonly (readonly [seconds: string, label: string])[] = [
  ['', 'Until it is revoked'],
  ['86400', 'One day'],
  ['2592000', '30 days'],
  ['7776000', '90 days'],
  ['31536000', 'One year'],
];

/** Tokens of programs: what each may do, how far it reaches, and when it ends (UI-124). */
export function OrgTokens() {
  const client = useQueryClient();
  const tokens = useQuery({
    queryKey: ['org-tokens'],
    queryFn: async () => list(obj(await http.json('GET', '/org/tokens')).tokens) as OrgTokenView[],
  });
  const byId = useOrg((state) => state.byId);
  const [name, setName] = useState('');
  const [life, setLife] = useState('');
  const [reach, setReach] = useState('');
  const [readOnly, setReadOnly] = useState(false);
  const [minted, setMinted] = useState<{ token: string; warning: string } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const refresh = () => client.invalidateQueries({ queryKey: ['org-tokens'] });
  const mint = async (event: React.FormEvent) => {
    event.preventDefault();
    setError(null);
    try {
      const body = {
        ...(name.trim() ? { name: name.trim() } : {}),
        ...(life ? { expires_in: Number(life) } : {}),
        ...(reach ? { org_id: reach } : {}),
        ...(readOnly ? { read_only: true } : {}),
      };
      const answer = obj(await http.json('POST', '/org/tokens', { body }));
      setMinted({ token: str(answer.auth_token), warning: str(answer.warning) });
      setName('');
      await refresh();
    } catch (thrown) {
      setError(thrown);
    }
  };
  const revoke = (token: OrgTokenView) =>
    confirm({
      title: `Revoke ${token.name ? `“${token.name}”` : `the token ${token.prefix}…`}?`,
      text: 'Whatever uses it is refused from now on.',
      action: 'Revoke',
      danger: true,
      run: async () => {
        try {
          await http.json('DELETE', `/org/tokens/${token.id}`);
          await refresh();
        } catch (thrown) {
          toast('error', `The token was not revoked. ${explain(thrown)}`);
        }
      },
    });
  return (
    <div className="space-y-4">
      <p className="text-[13px] text-ink-2">For scripts and other programs that administer this organisation.</p>
      <form className="space-y-3" onSubmit={(event) => void mint(event)}>
        <Field label="Name, if you like">
          {(ids) => (
            <input
              {...ids}
              className="field"
              value={name}
              maxLength={100}
              placeholder="Deploy script"
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <div className="grid gap-3 sm:grid-cols-2">
          <Field label="Lives">
            {(ids) => (
              <select {...ids} className="field" value={life} onChange={(event) => setLife(event.target.value)}>
                {LIVES.map(([seconds, label]) => (
                  <option key={seconds} value={seconds}>
                    {label}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label="Reaches">
            {(ids) => (
              <select {...ids} className="field" value={reach} onChange={(event) => setReach(event.target.value)}>
                <option value="">Every workspace</option>
                {leads(byId.values()).map((row) => (
                  <option key={row.id} value={row.id}>
                    {cut(row.name, 60)} and what is below
                  </option>
                ))}
              </select>
            )}
          </Field>
        </div>
        <label className="flex items-center gap-2 text-[13px]">
          <input type="checkbox" checked={readOnly} onChange={(event) => setReadOnly(event.target.checked)} />
          It may read, and change nothing
        </label>
        <button type="submit" className="btn btn-primary">
          New token
        </button>
      </form>
      <FormError error={error} />
      {minted && (
        <div className="notice notice-warn flex-col">
          <p>{sentence(minted.warning) || 'Copy it now. It is not shown again.'}</p>
          <code className="text w-full rounded bg-code p-2 font-mono text-[12px]">{minted.token}</code>
          <CopyButton text={minted.token} label="Copy token" />
        </div>
      )}
      {tokens.isPending && <Loading what="the tokens" />}
      {tokens.isError && <Failed what="The tokens" error={tokens.error} retry={() => void tokens.refetch()} />}
      {tokens.data?.length === 0 && <p className="text-[13px] text-ink-3">None yet.</p>}
      <ul className="divide-y divide-line rounded-xl border border-line empty:hidden">
        {tokens.data?.map((token) => (
          <li key={token.id} className="flex items-center gap-3 px-3 py-2 text-[13px]">
            <span className="text min-w-0 flex-1">
              {token.name ?? 'unnamed'} <code className="font-mono text-ink-3">{token.prefix}…</code>
              {token.read_only && <span className="pill ml-2">reads only</span>}
              {token.org_id && <span className="pill ml-2">{cut(nameOf(token.org_id), 40)} only</span>}
            </span>
            <span className="text-right text-[12px] text-ink-3">
              made {ago(token.created_at)}, {token.last_used_at ? `used ${ago(token.last_used_at)}` : 'never used'}
              {token.expires_at && <span className="block">ends {when(token.expires_at)}</span>}
            </span>
            <button type="button" className="btn h-7 px-2" onClick={() => revoke(token)}>
              Revoke
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
