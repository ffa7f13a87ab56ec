import { Tabs } from 'radix-ui';
import { serves } from '../lib/api';
import { useGlobalSecrets } from '../panel/queries';
import { Modal } from '../ui/Modal';
import { setTheme, useUi, type Theme } from '../ui/store';
import { Audit } from './Audit';
import { OrgTokens } from './OrgTokens';
import { Secrets } from './Secrets';
import { Server } from './Server';
import { Sessions } from './Sessions';

const SECTIONS: readonly (readonly [id: string, label: string])[] = [
  ['secrets', 'Global secrets'],
  ['tokens', 'Org tokens'],
  ...(serves('GET /auth/sessions') ? ([['sessions', 'Sessions']] as const) : []),
  ...(serves('GET /admin/audit') ? ([['audit', 'Audit']] as const) : []),
  ...(serves('GET /admin/server') ? ([['server', 'Server']] as const) : []),
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
              className="-mb-px border-b-2 border-transparent px-2.5 py-2 text-[13px] font-medium -outline-offset-2 text-ink-2 hover:text-ink data-[state=active]:border-accent data-[state=active]:text-ink"
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
        <Tabs.Content value="server">
          <Server />
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
