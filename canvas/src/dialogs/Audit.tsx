import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { ShieldCheck, TriangleAlert } from 'lucide-react';
import { nameOf } from '../actions';
import { http } from '../app';
import { isObj, list, num, obj, str } from '../lib/json';
import { cut } from '../lib/text';
import { Ago, Failed, Loading } from '../ui/bits';
import { actorOf, changesOf, subjectOf } from './audit';

/** Records that are read at once. */
const PAGE = 50;

interface Page {
  records: Record<string, unknown>[];
  next: number | null;
}

const page = (answer: unknown): Page => ({
  records: list(obj(answer).records).filter(isObj),
  next: num(obj(answer).next),
});

/** Who changed what, newest first, and whether the record of it is whole (UI-121). */
export function Audit() {
  const pages = useInfiniteQuery({
    queryKey: ['audit'],
    initialPageParam: null as number | null,
    queryFn: async ({ pageParam }) =>
      page(await http.json('GET', `/admin/audit?limit=${PAGE}${pageParam === null ? '' : `&before=${pageParam}`}`)),
    getNextPageParam: (last) => last.next,
  });
  const records = pages.data?.pages.flatMap((each) => each.records) ?? [];
  return (
    <div className="space-y-4">
      <Verdict />
      {pages.isPending && <Loading what="the audit" />}
      {pages.isError && <Failed what="The audit" error={pages.error} retry={() => void pages.refetch()} />}
      {pages.isSuccess && records.length === 0 && <p className="text-[13px] text-ink-3">Nothing was changed yet.</p>}
      <ul className="divide-y divide-line rounded-xl border border-line empty:hidden" aria-label="Changes">
        {records.map((record) => (
          <li key={str(record.id)} className="flex items-baseline gap-3 px-3 py-2 text-[13px]">
            <span className="text min-w-0 flex-1">
              <span className="font-medium">{cut(str(record.action), 60)}</span>{' '}
              <span>{subjectOf(record, nameOf)}</span>
              {changesOf(record).map((change) => (
                <span key={change} className="block text-[12.5px] text-ink-2">
                  {change}
                </span>
              ))}
              <span className="block text-[12px] text-ink-3">
                {actorOf(str(record.actor), nameOf)}
                {str(record.address) && ` · ${str(record.address)}`}
              </span>
            </span>
            <Outcome status={num(record.status)} />
            <Ago at={str(record.at)} />
          </li>
        ))}
      </ul>
      {pages.hasNextPage && (
        <button
          type="button"
          className="btn"
          disabled={pages.isFetchingNextPage}
          onClick={() => void pages.fetchNextPage()}
        >
          {pages.isFetchingNextPage ? 'Reading…' : 'Show earlier changes'}
        </button>
      )}
    </div>
  );
}

function Outcome({ status }: { status: number | null }) {
  if (status === null) return <span className="text-[12px] text-ink-3">not finished</span>;
  if (status < 400) return null;
  return <span className="text-[12px] text-bad">refused ({status})</span>;
}

function Verdict() {
  const verdict = useQuery({
    queryKey: ['audit', 'verdict'],
    queryFn: async () => obj(await http.json('GET', '/admin/audit/verify')),
  });
  // Not computed is no warning.
  if (!verdict.data || typeof verdict.data.valid !== 'boolean') return null;
  if (verdict.data.valid) {
    return (
      <p className="notice notice-good items-center">
        <ShieldCheck size={15} className="shrink-0 text-good" aria-hidden /> The record is whole:{' '}
        {(num(verdict.data.checked) ?? 0).toLocaleString()} entries, each sealed with the one before it.
      </p>
    );
  }
  return (
    <p className="notice notice-bad items-center" role="alert">
      <TriangleAlert size={15} className="shrink-0 text-bad" aria-hidden /> The record was tampered with, or lost an
      entry
      {num(verdict.data.broken_at) !== null && ` at number ${num(verdict.data.broken_at)}`}. Compare it with a backup
      before you rely on it.
    </p>
  );
}
