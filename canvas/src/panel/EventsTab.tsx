import { nameOf } from '../actions';
import type { Workspace } from '../lib/api';
import { describe, fromRow } from '../lib/events';
import { words } from '../lib/text';
import { Ago, Empty, Failed, Loading } from '../ui/bits';
import { Json } from './ActivityRow';
import { useWorkspaceEvents } from './queries';

/** What was recorded of this workspace. */
export default function EventsTab({ workspace }: { workspace: Workspace }) {
  const events = useWorkspaceEvents(workspace.id);
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      {events.isPending && <Loading what="the events" />}
      {events.isError && <Failed what="The events" error={events.error} retry={() => void events.refetch()} />}
      {events.data?.length === 0 && <Empty>Nothing has been recorded yet.</Empty>}
      <ul>
        {events.data?.map((row) => (
          <li key={row.id} className="border-b border-line px-4 py-2">
            <details>
              <summary className="flex items-center gap-2 text-[13px]">
                <span className="text min-w-0 flex-1 first-letter:uppercase">
                  {describe(fromRow(row), nameOf)?.text ?? words(row.event_type)}
                </span>
                <Ago at={row.created_at} />
              </summary>
              <div className="pt-2">
                <Json title={row.event_type} value={row.payload} />
              </div>
            </details>
          </li>
        ))}
      </ul>
    </div>
  );
}
