import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { http } from '../app';
import { serves } from '../lib/api';
import { explain } from '../lib/http';
import { obj, str } from '../lib/json';
import { ago, cut, when } from '../lib/text';
import { CopyButton, Failed, FormError, Loading } from '../ui/bits';
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
      text: `Signed in ${ago(session.created_at)}${session.address ? ` from ${session.address}` : ''}. It needs a fresh link to come back.`,
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
      <p className="text-[13px] text-ink-2">Browsers that are signed in as you.</p>
      <AnotherBrowser />
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
                {session.last_used_at && ` · seen ${ago(session.last_used_at)}`}
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

/** A link that signs in another browser, once. */
function AnotherBrowser() {
  const [link, setLink] = useState('');
  const [error, setError] = useState<unknown>(null);
  if (!serves('POST /auth/login-codes'))
    return <p className="text-[13px] text-ink-2">“molecule login” signs in another one.</p>;
  const make = async () => {
    setError(null);
    try {
      setLink(str(obj(await http.json('POST', '/auth/login-codes', { body: {} })).login_url));
    } catch (thrown) {
      setError(thrown);
    }
  };
  return (
    <div className="space-y-3">
      <button type="button" className="btn" onClick={() => void make()}>
        Sign in another browser…
      </button>
      <FormError error={error} />
      {link && (
        <div className="notice notice-warn flex-col">
          <p>
            Open this link in the other browser. It works once, for ten minutes, and makes whoever opens it an operator.
          </p>
          <code className="text w-full rounded bg-code p-2 font-mono text-[12px]">{link}</code>
          <CopyButton text={link} label="Copy link" />
        </div>
      )}
    </div>
  );
}
