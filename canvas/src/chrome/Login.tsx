import { useState } from 'react';
import { signIn } from '../app';
import { codeFromInput } from '../lib/session';
import { Logo } from '../ui/Logo';

/** Signing in with the one-time code of a login link (D2). */
export function Login({ reason, busy }: { reason: string; busy: boolean }) {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState('');
  const submit = (event: React.FormEvent) => {
    event.preventDefault();
    const code = codeFromInput(text);
    setProblem(code ? '' : 'This holds no code. Paste the whole link, or the part after “code=”.');
    if (code) void signIn(code);
  };
  const said = problem || reason;
  return (
    <main className="grid h-full place-items-center p-6">
      <div className="w-full max-w-sm rounded-2xl border border-line bg-surface p-6 shadow-high">
        <h1 className="flex items-center gap-2.5 text-xl font-semibold tracking-tight">
          <Logo size={28} /> Molecule
        </h1>
        <p className="mt-4 text-ink-2">
          Sign in with a login link. On the machine that runs the server, this prints a fresh one:
        </p>
        <pre className="mt-2 rounded-lg border border-line bg-code px-3 py-2 font-mono text-[13px]">molecule login</pre>
        <p className="mt-2 text-[13px] text-ink-3">
          Open the link, or paste it here. A code works once, for 10 minutes.
        </p>
        <form className="mt-5 space-y-3" onSubmit={submit} noValidate>
          {said && (
            <p id="login-reason" className="notice notice-warn" role="alert">
              {said}
            </p>
          )}
          <div>
            <label className="label" htmlFor="login-code">
              Login link or code
            </label>
            <input
              id="login-code"
              className="field"
              type="text"
              autoComplete="off"
              autoCapitalize="off"
              spellCheck={false}
              autoFocus
              value={text}
              onChange={(event) => setText(event.target.value)}
              {...(said ? { 'aria-describedby': 'login-reason' } : {})}
            />
          </div>
          <button type="submit" className="btn btn-primary h-9 w-full" disabled={busy}>
            {busy ? 'Signing in…' : 'Sign in'}
          </button>
        </form>
      </div>
    </main>
  );
}
