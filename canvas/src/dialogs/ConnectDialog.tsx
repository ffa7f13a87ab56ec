import { Tabs } from 'radix-ui';
import type { Connection } from '../lib/api';
import { obj, str } from '../lib/json';
import { useOrg } from '../store/org';
import { CopyButton } from '../ui/bits';
import { Modal } from '../ui/Modal';
import { StatusMark } from '../ui/StatusMark';
import { statusView } from '../store/statuses';
import { cut } from '../lib/text';
import { tabsOf } from './snippets';

const FIELDS = ['workspace_id', 'platform_url', 'auth_token', 'registry_endpoint', 'heartbeat_endpoint'];

/** How to connect an external agent. The token is shown here once. */
export function ConnectDialog({
  name,
  connection,
  onClose,
}: {
  name: string;
  connection: Connection;
  onClose: () => void;
}) {
  const members = obj(connection);
  const status = useOrg((state) => state.byId.get(str(members.workspace_id))?.status);
  const tabs = tabsOf(connection);
  return (
    <Modal
      title={`Connect “${cut(name, 60)}”`}
      description="Run one of these where the agent lives. It shows up here as soon as it is connected."
      wide
      onClose={onClose}
    >
      <p className="notice notice-warn mb-3">
        The token is shown only now. If it is lost, make another one under the workspace’s Tokens tab.
      </p>
      {status && (
        <p className="mb-3 flex items-center gap-2 text-[13px]" role="status">
          <StatusMark status={status} /> {statusView(status).label}
          {status === 'online' && <span className="text-good">– the agent is connected.</span>}
        </p>
      )}
      <Tabs.Root defaultValue={tabs[0]?.tab.id ?? 'fields'}>
        <Tabs.List className="flex flex-wrap gap-1 border-b border-line" aria-label="Ways to connect">
          {[...tabs.map(({ tab }) => [tab.id, tab.label] as const), ['fields', 'Fields'] as const].map(
            ([id, label]) => (
              <Tabs.Trigger
                key={id}
                value={id}
                className="-mb-px border-b-2 border-transparent px-2.5 py-2 text-[13px] font-medium text-ink-2 hover:text-ink data-[state=active]:border-accent data-[state=active]:text-ink"
              >
                {label}
              </Tabs.Trigger>
            ),
          )}
        </Tabs.List>
        {tabs.map(({ tab, text }) => (
          <Tabs.Content key={tab.id} value={tab.id} className="pt-3">
            <pre
              className="max-h-[42vh] overflow-auto rounded-xl border border-line bg-code p-3 font-mono text-[12.5px] leading-relaxed"
              tabIndex={0}
              aria-label={`${tab.label} snippet`}
            >
              {text}
            </pre>
            <div className="mt-2">
              <CopyButton text={text} />
            </div>
            <details className="mt-3 text-[13px]">
              <summary className="font-medium text-ink-2">Help</summary>
              <div className="mt-2 space-y-2">
                {tab.install && (
                  <p>
                    Where to install: {tab.install.text}{' '}
                    {tab.install.href && (
                      <a className="link" href={tab.install.href} target="_blank" rel="noopener noreferrer">
                        {tab.install.href}
                      </a>
                    )}
                  </p>
                )}
                <p>
                  Documentation: <code className="font-mono">docs/{tab.guide}</code>
                </p>
                <p className="font-medium">Common errors</p>
                <dl className="space-y-1.5">
                  {tab.errors.map(([error, help]) => (
                    <div key={error}>
                      <dt className="font-mono text-[12.5px]">{error}</dt>
                      <dd className="text-ink-2">{help}</dd>
                    </div>
                  ))}
                </dl>
              </div>
            </details>
          </Tabs.Content>
        ))}
        <Tabs.Content value="fields" className="pt-3">
          <dl className="space-y-2">
            {FIELDS.map((field) => (
              <div key={field} className="flex flex-wrap items-center gap-2">
                <dt className="w-40 text-[12.5px] text-ink-2">{field}</dt>
                <dd className="text min-w-0 flex-1 font-mono text-[12.5px]">
                  {str(members[field]) || 'could not be made'}
                </dd>
                <CopyButton text={str(members[field])} />
              </div>
            ))}
          </dl>
        </Tabs.Content>
      </Tabs.Root>
    </Modal>
  );
}
