import { useState } from 'react';
import type { Workspace } from '../lib/api';
import { words } from '../lib/text';
import { Empty, Failed, Loading } from '../ui/bits';
import { ActivityRow } from './ActivityRow';
import { useActivity } from './queries';

const TYPES = [
  '',
  'a2a_receive',
  'a2a_send',
  'delegation',
  'task_update',
  'agent_log',
  'skill_promotion',
  'memory_write',
  'error',
];
const EVERY_MS = 5_000;

export default function ActivityTab({ workspace }: { workspace: Workspace }) {
  const [type, setType] = useState('');
  const [onlyErrors, setOnlyErrors] = useState(false);
  const [paused, setPaused] = useState(false);
  const rows = useActivity(workspace.id, `limit=100${type ? `&type=${type}` : ''}`, paused ? false : EVERY_MS);
  const shown = rows.data?.filter((row) => !onlyErrors || row.status !== 'ok');
  return (
    <>
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2">
        <select
          className="field h-8 w-auto"
          aria-label="Kind of activity"
          value={type}
          onChange={(event) => setType(event.target.value)}
        >
          {TYPES.map((each) => (
            <option key={each} value={each}>
              {each ? words(each) : 'everything'}
            </option>
          ))}
        </select>
        <label className="flex items-center gap-1.5 text-[12.5px] text-ink-2">
          <input type="checkbox" checked={onlyErrors} onChange={(event) => setOnlyErrors(event.target.checked)} /> only
          what went wrong
        </label>
        <button type="button" className="btn ml-auto" aria-pressed={paused} onClick={() => setPaused(!paused)}>
          {paused ? 'Resume' : 'Pause'}
        </button>
      </div>
      <div className="min-h-0 flex-1 overflow-y-auto">
        {rows.isPending && <Loading what="the activity" />}
        {rows.isError && <Failed what="The activity" error={rows.error} retry={() => void rows.refetch()} />}
        {shown?.length === 0 && <Empty>Nothing of this kind has been recorded.</Empty>}
        <ul>
          {shown?.map((row) => (
            <ActivityRow key={row.id} row={row} />
          ))}
        </ul>
      </div>
    </>
  );
}
