import type { Workspace } from '../lib/api';
import { Secrets } from '../dialogs/Secrets';
import { useGlobalSecrets, useSecrets } from './queries';

/** This workspace's secrets and the inherited ones. Values are never shown (UI-116). */
export default function SecretsTab({ workspace }: { workspace: Workspace }) {
  const own = useSecrets(workspace.id);
  const global = useGlobalSecrets();
  return (
    <div className="min-h-0 flex-1 overflow-y-auto p-4">
      <Secrets scope={workspace.id} own={own} inherited={global.data ?? []} />
    </div>
  );
}
