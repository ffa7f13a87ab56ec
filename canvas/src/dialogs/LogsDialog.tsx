import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import { nameOf } from '../actions';
import { http } from '../app';
import type { WorkspaceLogs } from '../lib/api';
import { ApiError, explain } from '../lib/http';
import { cut } from '../lib/text';
import { useOrg } from '../store/org';
import { CopyButton, Loading } from '../ui/bits';
import { Modal } from '../ui/Modal';

function why(error: unknown): string {
  if (error instanceof ApiError && error.status === 501) return 'This backend keeps no output of its agents.';
  if (error instanceof ApiError && error.status === 404)
    return 'There is no instance of it now. It has output once it was started.';
  if (error instanceof ApiError && error.status === 422) return 'Its agent runs elsewhere; its output is there.';
  return explain(error);
}

/** The end of what an agent's instance wrote (UI-60). */
export function LogsDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const starting = useOrg((state) => state.byId.get(id)?.status === 'provisioning');
  const logs = useQuery({
    queryKey: [id, 'logs'],
    queryFn: async () => (await http.json('GET', `/workspaces/${id}/logs?bytes=262144`)) as WorkspaceLogs,
    refetchInterval: 4_000,
    staleTime: 0,
  });
  const box = useRef<HTMLPreElement>(null);
  const text = logs.data?.output ?? '';
  useEffect(() => {
    box.current?.scrollTo({ top: box.current.scrollHeight });
  }, [text]);
  return (
    <Modal title={`Logs of “${cut(nameOf(id), 60)}”`} wide onClose={onClose} footer={<CopyButton text={text} />}>
      {logs.isPending && <Loading what="the logs" />}
      {logs.isError && (
        <p className="notice notice-bad" role="alert">
          {why(logs.error)}
        </p>
      )}
      {logs.isSuccess && !text && (
        <p className="text-[13px] text-ink-3">
          {starting ? 'Nothing yet: it is still starting.' : 'It wrote nothing.'}
        </p>
      )}
      {logs.data?.truncated && <p className="mb-1 text-[12px] text-ink-3">Earlier output is left out.</p>}
      {text && (
        <pre
          ref={box}
          className="text max-h-[60vh] overflow-auto rounded-xl border border-line bg-code p-3 font-mono text-[12px] whitespace-pre-wrap"
          tabIndex={0}
          aria-label="Output"
        >
          {text}
        </pre>
      )}
    </Modal>
  );
}
