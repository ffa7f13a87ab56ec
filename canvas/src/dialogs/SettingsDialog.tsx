import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Tabs } from 'radix-ui';
import { useState } from 'react';
import { http } from '../app';
import { serves, type OrgTokenView } from '../lib/api';
import { explain } from '../lib/http';
import { list, obj, str } from '../lib/json';
import { age } from '../lib/text';
import { useGlobalSecrets } from '../panel/queries';
import { CopyButton, Failed, Field, FormError, Loading } from '../ui/bits';
import { Modal } from '../ui/Modal';
import { confirm, setTheme, toast, useUi, type Theme } from '../ui/store';
import { Audit } from './Audit';
import { Secrets } from './Secrets';
import { Sessions } from './Sessions';

const SECTIONS: readonly (readonly [id: string, label: string])[] = [
  ['secrets', 'Global secrets'],
  ['tokens', 'Org tokens'],
  ...(serves('GET /auth/sessions') ? ([['sessions', 'Sessions']] as const) : []),
  ...(serves('GET /admin/audit') ? ([['audit', 'Audit']] as const) : []),
  ['looks', 'Appearance'],
];

export function SettingsDialog({ onClose }: { onClose: () => void }) {
  return (
    <Modal title="Settings" wide onClose={onClose}>
      <Tabs.Root defaultValue="secrets">
        <Tabs.List className="mb-4 flex gap-1 border-b border-line" aria-label="Settings">
          {SECTIONS.map(([id, label]) => (
            <Tabs.Trigger
              key={id}
              value={id}
              className="-mb-px border-b-2 border-transparent px-2.5 py-2 text-[13px] font-medium text-ink-2 hover:text-ink data-[state=active]:border-accent data-[state=active]:text-ink"
            >
              {label}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        <Tabs.Content value="secrets">
          <p className="mb-3 text-[13px] text-ink-2">
            Every workspace gets these, unless it has its own of the same name.
          </p>
          <Global />
        </Tabs.Content>
        <Tabs.Content value="tokens">
          <OrgTokens />
        </Tabs.Content>
        <Tabs.Content value="sessions">
          <Sessions />
        </Tabs.Content>
        <Tabs.Content value="audit">
          <Audit />
        </Tabs.Content>
        <Tabs.Content value="looks">
          <Looks />
        </Tabs.Content>
      </Tabs.Root>
    </Modal>
  );
}

function Global() {
  const secrets = useGlobalSecrets();
  return <Secrets scope={null} own={secrets} />;
}

function Looks() {
  const theme = useUi((state) => state.theme);
  const choices: readonly [Theme, string, string][] = [
    ['system', 'As the system', 'Follows your device, also when it changes by the time of day.'],
    ['dark', 'Dark', ''],
    ['light', 'Light', ''],
  ];
  return (
    <fieldset className="space-y-2">
      <legend className="label">Theme</legend>
      {choices.map(([value, label, hint]) => (
        <label
          key={value}
          className="flex cursor-pointer items-start gap-2.5 rounded-xl border border-line p-3 text-[13px] has-checked:border-accent"
        >
          <input
            type="radio"
            name="theme"
            className="mt-0.5"
            checked={theme === value}
            onChange={() => setTheme(value)}
          />
          <span>
            <span className="font-medium">{label}</span>
            {hint && <span className="block text-[12.5px] text-ink-3">{hint}</span>}
          </span>
        </label>
      ))}
      <p className="hint">Motion follows your device’s setting for reduced motion.</p>
    </fieldset>
  );
}

function OrgTokens() {
  const client = useQueryClient();
  const tokens = useQuery({
    queryKey: ['org-tokens'],
    queryFn: async () => list(obj(await http.json('GET', '/org/tokens')).tokens) as OrgTokenView[],
  });
  const [name, setName] = useState('');
  const [minted, setMinted] = useState<{ token: string; warning: string } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const refresh = () => client.invalidateQueries({ queryKey: ['org-tokens'] });
  const mint = async (event: React.FormEvent) => {
    event.preventDefault();
    setError(null);
    try {
      const answer = obj(await http.json('POST', '/org/tokens', { body: name.trim() ? { name: name.trim() } : {} }));
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
      <form className="flex items-end gap-2" onSubmit={(event) => void mint(event)}>
        <div className="flex-1">
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
        </div>
        <button type="submit" className="btn btn-primary h-9">
          New token
        </button>
      </form>
      <FormError error={error} />
      {minted && (
        <div className="notice notice-warn flex-col">
          <p>Copy it now; it is not shown again. {minted.warning}</p>
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
            </span>
            <span className="text-[12px] text-ink-3">
              made {age(token.created_at)} ago,{' '}
              {token.last_used_at ? `used ${age(token.last_used_at)} ago` : 'never used'}
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
