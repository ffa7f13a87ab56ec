import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { http } from '../app';
import type { Workspace } from '../lib/api';
import { explain } from '../lib/http';
import { obj, str } from '../lib/json';
import { ago } from '../lib/text';
import { CopyButton, Failed, FormError, Loading } from '../ui/bits';
import { confirm, toast } from '../ui/store';
import { useTokens } from './queries';

/** The tokens by which this agent proves who it is. Here an external operator gets another one (UI-124). */
export default function TokensTab({ workspace }: { workspace: Workspace }) {
  const { id } = workspace;
  const tokens = useTokens(id);
  const client = useQueryClient();
  const [minted, setMinted] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const refresh = () => client.invalidateQueries({ queryKey: [id, 'tokens'] });
  const mint = async () => {
    setBusy(true);
    setError(null);
    try {
      setMinted(str(obj(await http.json('POST', `/workspaces/${id}/tokens`, { body: {} })).auth_token));
      await refresh();
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  const revoke = (token: string, prefix: string) =>
    confirm({
      title: `Revoke the token ${prefix}…?`,
      text: 'Whoever uses it is refused from now on. An agent that has no other one loses its connection.',
      action: 'Revoke',
      danger: true,
      run: async () => {
        try {
          await http.json('DELETE', `/workspaces/${id}/tokens/${token}`);
          await refresh();
        } catch (thrown) {
          toast('error', `The token was not revoked. ${explain(thrown)}`);
        }
      },
    });
  return (
    <div className="min-h-0 flex-1 space-y-4 overflow-y-auto p-4">
      <div>
        <button type="button" className="btn btn-primary" disabled={busy} onClick={() => void mint()}>
          {busy ? 'Making…' : 'New token'}
        </button>
        <p className="hint">The tokens there are stay valid beside it.</p>
      </div>
      <FormError error={error} />
      {minted && (
        <div className="notice notice-warn flex-col">
          <p>Copy it now. It is not shown again.</p>
          <code className="text w-full rounded bg-code p-2 font-mono text-[12px]">{minted}</code>
          <CopyButton text={minted} label="Copy token" />
        </div>
      )}
      {tokens.isPending && <Loading what="the tokens" />}
      {tokens.isError && <Failed what="The tokens" error={tokens.error} retry={() => void tokens.refetch()} />}
      {tokens.data?.length === 0 && <p className="text-[13px] text-ink-3">None: this agent cannot sign in.</p>}
      <ul className="divide-y divide-line rounded-xl border border-line empty:hidden">
        {tokens.data?.map((token) => (
          <li key={token.id} className="flex items-center gap-3 px-3 py-2 text-[13px]">
            <code className="font-mono">{token.prefix}…</code>
            <span className="min-w-0 flex-1 truncate text-[12px] text-ink-3">
              made {ago(token.created_at)}, {token.last_used_at ? `used ${ago(token.last_used_at)}` : 'never used'}
            </span>
            <button type="button" className="btn h-7 px-2" onClick={() => revoke(token.id, token.prefix)}>
              Revoke
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
