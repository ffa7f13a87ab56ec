import { TriangleAlert } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { askDelete, nameOf, restart } from '../actions';
import { cut, duration } from '../lib/text';
import { useOrg } from '../store/org';
import { useNow } from '../ui/bits';
import { openPanel, showDialog } from '../ui/store';

/** Milliseconds a start may take that declares no limit of its own (UI-58). */
const DEFAULT_MS = 120_000;
/** Milliseconds more for each start beyond three at once. */
const CROWD_MS = 45_000;
const CROWD = 3;
const CHECK_MS = 5_000;

/** Starts that take longer than they should. A declared limit is the server's own; the other is an early warning. */
export function ProvisioningBanner() {
  const byId = useOrg((state) => state.byId);
  const live = useOrg((state) => state.live);
  const since = useRef(new Map<string, number>());
  const [dismissed, setDismissed] = useState<ReadonlySet<string>>(new Set());
  const starting = [...byId.values()].filter((row) => row.status === 'provisioning');
  const now = useNow(CHECK_MS, starting.length > 0);
  useEffect(() => {
    const ids = new Set(starting.map((row) => row.id));
    for (const id of since.current.keys()) if (!ids.has(id)) since.current.delete(id);
    for (const id of ids) if (!since.current.has(id)) since.current.set(id, Date.now());
  });
  // Without a connection nobody knows how the starts stand.
  if (live !== 'live') return null;
  const extra = Math.max(0, starting.length - CROWD) * CROWD_MS;
  const late = starting.filter((row) => {
    const began = since.current.get(row.id);
    return (
      began !== undefined && !dismissed.has(row.id) && now - began > (row.provision_timeout_ms ?? DEFAULT_MS) + extra
    );
  });
  if (late.length === 0) return null;
  return (
    <ul className="space-y-1 border-b border-line bg-surface px-3 py-2">
      {late.slice(0, 3).map((row) => (
        <li key={row.id} className="notice notice-warn items-center" role="status">
          <TriangleAlert size={15} className="shrink-0 text-warn" aria-hidden />
          <p className="text min-w-0 flex-1">
            <button type="button" className="font-medium hover:underline" onClick={() => openPanel(row.id)}>
              {cut(nameOf(row.id), 60)}
            </button>{' '}
            has been starting for {duration(now - (since.current.get(row.id) ?? now))}, longer than usual.
          </p>
          <button type="button" className="link" onClick={() => void restart(row.id)}>
            Try again
          </button>
          <button type="button" className="link" onClick={() => showDialog({ kind: 'logs', id: row.id })}>
            Logs
          </button>
          <button type="button" className="link" onClick={() => askDelete([row.id])}>
            Cancel…
          </button>
          <button type="button" className="link" onClick={() => setDismissed((before) => new Set([...before, row.id]))}>
            Dismiss
          </button>
        </li>
      ))}
    </ul>
  );
}
