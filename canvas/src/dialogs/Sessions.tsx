import { useQuery, useQueryClient } from '@tanstack/react-query';
import { http } from '../app';
import { explain } from '../lib/http';
import { age, cut, when } from '../lib/text';
import { Failed, Loading } from '../ui/bits';
import { confirm, toast } from '../ui/store';
import { browserOf, sessionsOf, type Session } from './signedIn';

/** Browsers that are signed in, and how to end that. */
export function Sessions() {
  const client = useQueryClient();
  const sessions = useQuery({
    queryKey: ['sessions'],
    queryFn: async () => sessionsOf(await http.json('GET', '/auth/sessions')),
  });
  const end = (session: Session) =>
    confirm({
      title: `Sign out ${browserOf(session.user_agent)}?`,
      text: `Signed in ${age(session.created_at)} ago${session.address ? ` from ${session.address}` : ''}. It needs a fresh link to come back.`,
      action: 'Sign out',
      danger: true,
      run: async () => {
        try {
          await http.json('DELETE', `/auth/sessions/${session.id}`);
          await client.invalidateQueries({ queryKey: ['sessions'] });
        } catch (thrown) {
          toast('error', `The session was not ended. ${explain(thrown)}`);
        }
      },
    });
  return (
    <div className="space-y-4">
      <p className="text-[13px] text-ink-2">
        Browsers that are signed in as you. “molecule login” signs in another one.
      </p>
      {sessions.isPending && <Loading what="the sessions" />}
      {sessions.isError && <Failed what="The sessions" error={sessions.error} retry={() => void sessions.refetch()} />}
      <ul className="divide-y divide-line rounded-xl border border-line empty:hidden" aria-label="Sessions">
        {sessions.data?.map((session) => (
          <li key={session.id} className="flex items-center gap-3 px-3 py-2 text-[13px]">
            <span className="text min-w-0 flex-1" title={cut(session.user_agent, 300)}>
              {browserOf(session.user_agent)}
              {session.current && <span className="pill ml-2 text-good">this one</span>}
              <span className="block text-[12px] text-ink-3">
                {session.address && `${session.address} · `}since {when(session.created_at)}
                {session.last_used_at && ` · seen ${age(session.last_used_at)} ago`}
              </span>
            </span>
            {!session.current && (
              <button type="button" className="btn h-7 px-2" onClick={() => end(session)}>
                Sign out
              </button>
            )}
          </li>
        ))}
      </ul>
    </div>
  );
}
