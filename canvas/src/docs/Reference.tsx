import { useDeferredValue, useEffect, useMemo, useState } from 'react';
import { apiUrl } from '../lib/base';
import type { Http } from '../lib/http';
import { ApiError, explain } from '../lib/http';
import { obj, str, type Obj } from '../lib/json';
import { count } from '../lib/text';
import { Logo } from '../ui/Logo';
import {
  contents,
  describeSchema,
  groups,
  matches,
  responses,
  type Content,
  type Operation,
  type SchemaView,
} from './schema';

type State =
  { kind: 'reading' } | { kind: 'signed-out' } | { kind: 'failed'; error: unknown } | { kind: 'ready'; doc: Obj };

/** The API reference: `/openapi.json`, readable. */
export function Reference({ http }: { http: Http }) {
  const [state, setState] = useState<State>({ kind: 'reading' });
  const [round, setRound] = useState(0);
  useEffect(() => {
    let over = false;
    http.json('GET', '/openapi.json').then(
      (doc) => !over && setState({ kind: 'ready', doc: obj(doc) }),
      (error: unknown) => {
        const out = error instanceof ApiError && error.status === 401;
        if (!over) setState(out ? { kind: 'signed-out' } : { kind: 'failed', error });
      },
    );
    return () => {
      over = true;
    };
  }, [http, round]);
  const again = () => {
    setState({ kind: 'reading' });
    setRound((n) => n + 1);
  };
  return (
    <div className="h-full overflow-y-auto">
      <header className="sticky top-0 z-10 flex h-13 items-center gap-4 border-b border-line bg-surface px-4">
        <a href={apiUrl('/')} className="flex items-center gap-2 text-[15px] font-semibold tracking-tight">
          <Logo /> Molecule
        </a>
        <nav className="ml-auto text-[13px]" aria-label="Site">
          <a className="link" href={apiUrl('/')}>
            Organisation
          </a>
        </nav>
      </header>
      <main className="mx-auto max-w-5xl p-6">
        {state.kind === 'reading' && <p role="status">Reading the API description…</p>}
        {state.kind === 'signed-out' && (
          <p className="notice notice-warn" role="alert">
            <span>
              The API reference is for people who are signed in.{' '}
              <a className="link" href={apiUrl('/')}>
                Sign in
              </a>
              , then{' '}
              <button type="button" className="link" onClick={again}>
                read it again
              </button>
              .
            </span>
          </p>
        )}
        {state.kind === 'failed' && (
          <p className="notice notice-bad" role="alert">
            <span className="flex-1">{explain(state.error)}</span>
            <button type="button" className="link" onClick={again}>
              Try again
            </button>
          </p>
        )}
        {state.kind === 'ready' && <Document doc={state.doc} />}
      </main>
    </div>
  );
}

function Document({ doc }: { doc: Obj }) {
  const [query, setQuery] = useState('');
  const wanted = useDeferredValue(query);
  const all = useMemo(() => groups(doc), [doc]);
  const shown = useMemo(
    () =>
      all
        .map((group) => ({ ...group, operations: group.operations.filter((operation) => matches(operation, wanted)) }))
        .filter((group) => group.operations.length > 0),
    [all, wanted],
  );
  const [anchor, setAnchor] = useState(() => decodeURIComponent(window.location.hash.slice(1)));
  useEffect(() => {
    const follow = () => setAnchor(decodeURIComponent(window.location.hash.slice(1)));
    window.addEventListener('hashchange', follow);
    return () => window.removeEventListener('hashchange', follow);
  }, []);
  useEffect(() => {
    document.getElementById(anchor)?.scrollIntoView();
  }, [anchor]);
  const info = obj(doc.info);
  const total = shown.reduce((sum, group) => sum + group.operations.length, 0);
  return (
    <>
      <h1 className="text-2xl font-semibold tracking-tight">{str(info.title) || 'API reference'}</h1>
      <p className="text-[13px] text-ink-3">
        Version {str(info.version)} · OpenAPI {str(doc.openapi)}
      </p>
      <Prose text={str(info.description)} />
      <div className="mt-6 flex items-center gap-3">
        <input
          className="field max-w-sm"
          type="search"
          aria-label="Search the operations"
          placeholder="Path, word or class"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
        <p className="text-[13px] text-ink-3" role="status">
          {count(total, 'operation')}
        </p>
      </div>
      {shown.map((group) => (
        <section key={group.tag} className="mt-8" aria-labelledby={`tag-${group.tag}`}>
          <h2 id={`tag-${group.tag}`} className="text-[17px] font-semibold tracking-tight">
            {group.tag} <span className="text-[13px] font-normal text-ink-3">{group.operations.length}</span>
          </h2>
          <Prose text={group.description} />
          <ul className="mt-3 divide-y divide-line overflow-hidden rounded-xl border border-line bg-surface">
            {group.operations.map((operation) => (
              <OperationItem
                key={operation.anchor}
                doc={doc}
                operation={operation}
                target={operation.anchor === anchor}
              />
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}

const TONES: Record<string, string> = {
  GET: 'tone-blue',
  POST: 'tone-green',
  PUT: 'tone-amber',
  PATCH: 'tone-violet',
  DELETE: 'tone-red',
};

function OperationItem({ doc, operation, target }: { doc: Obj; operation: Operation; target: boolean }) {
  const [toggled, setToggled] = useState<boolean | null>(null);
  const open = toggled ?? target;
  return (
    <li id={operation.anchor} className="scroll-mt-16">
      <button
        type="button"
        className="flex w-full flex-wrap items-baseline gap-x-3 gap-y-0.5 px-4 py-2 text-left hover:bg-surface-2"
        aria-expanded={open}
        onClick={() => setToggled(!open)}
      >
        <span
          className={`w-14 font-mono text-[12px] font-semibold text-(--tone) ${TONES[operation.method] ?? 'tone-grey'}`}
        >
          {operation.method}
        </span>
        <code className="text font-mono text-[13px]">{operation.path}</code>
        {operation.authClass && (
          <span className="pill" title={operation.who || 'Who may call it'}>
            {operation.authClass}
          </span>
        )}
        {operation.deprecated && <span className="pill">deprecated</span>}
        <span className="min-w-0 flex-1 text-[13px] text-ink-2">
          <Inline text={operation.summary} />
        </span>
      </button>
      {open && <Body doc={doc} operation={operation} />}
    </li>
  );
}

function Body({ doc, operation }: { doc: Obj; operation: Operation }) {
  const body = operation.raw.requestBody;
  return (
    <div className="space-y-3 px-4 pt-1 pb-4 text-[13px]">
      <p>
        <a className="link" href={`#${operation.anchor}`}>
          Link to this operation
        </a>
      </p>
      <Prose text={operation.description} />
      {operation.who && (
        <p>
          <span className="text-ink-3">Who may call it:</span> <Inline text={operation.who} />
        </p>
      )}
      {operation.parameters.length > 0 && (
        <>
          <h3 className="font-semibold">Parameters</h3>
          <ul className="space-y-1">
            {operation.parameters.map((parameter) => {
              const view = describeSchema(doc, parameter.schema ?? {});
              return (
                <li key={`${str(parameter.in)}:${str(parameter.name)}`}>
                  <code className="font-mono">{str(parameter.name)}</code>{' '}
                  <span className="text-ink-3">
                    {str(parameter.in)}, {view.type}
                    {parameter.required === true && ', required'}
                  </span>{' '}
                  <Inline text={str(parameter.description) || view.description} />
                  <Values values={view.values} />
                </li>
              );
            })}
          </ul>
        </>
      )}
      {body !== undefined && (
        <>
          <h3 className="font-semibold">Request body{obj(body).required === false && ' (optional)'}</h3>
          {contents(doc, body).map((content) => (
            <Schema key={content.media} doc={doc} content={content} />
          ))}
        </>
      )}
      <h3 className="font-semibold">Responses</h3>
      {responses(doc, operation.raw).map((response) => (
        <div key={response.status}>
          <p>
            <code className="font-mono font-semibold">{response.status}</code> <Inline text={response.description} />
            {response.codes.length > 0 && (
              <span className="text-ink-3">
                {' '}
                Code: <Inline text={response.codes.map((code) => `\`${code}\``).join(', ')} />
              </span>
            )}
          </p>
          {response.contents.map((content) => (
            <Schema key={content.media} doc={doc} content={content} />
          ))}
        </div>
      ))}
    </div>
  );
}

function Schema({ doc, content }: { doc: Obj; content: Content }) {
  const view = useMemo(() => describeSchema(doc, content.schema), [doc, content.schema]);
  return (
    <div className="mt-1 rounded-lg border border-line bg-surface-2 p-2.5">
      <p className="text-ink-3">
        <code className="font-mono">{content.media}</code> {view.type}
      </p>
      <Members view={view} />
      {content.example && (
        <pre
          className="mt-2 overflow-x-auto rounded bg-code p-2 font-mono text-[12px]"
          tabIndex={0}
          aria-label="Example"
        >
          {content.example}
        </pre>
      )}
    </div>
  );
}

function Members({ view }: { view: SchemaView }) {
  return (
    <>
      {view.members.length > 0 && (
        <ul className="mt-1 space-y-0.5 border-l border-line pl-3">
          {view.members.map((member) => (
            <li key={member.name}>
              <code className="font-mono">{member.name}</code>{' '}
              <span className="text-ink-3">
                {member.type}
                {member.required && ', required'}
              </span>{' '}
              <Inline text={member.description} />
              <Values values={member.values} />
              <Members view={member} />
            </li>
          ))}
        </ul>
      )}
      {view.variants.length > 0 && (
        <>
          <p className="mt-1 text-ink-3">One of:</p>
          <ul className="space-y-0.5 border-l border-line pl-3">
            {view.variants.map((variant, index) => (
              <li key={`${index}:${variant.type}`}>
                <span className="text-ink-3">{variant.type}</span> <Inline text={variant.description} />
                <Values values={variant.values} />
                <Members view={variant} />
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

function Values({ values }: { values: readonly string[] }) {
  if (values.length === 0) return null;
  return <span className="text-ink-3"> One of {values.join(', ')}</span>;
}

/** Text with code in backticks; nothing more occurs in the document. */
function Inline({ text }: { text: string }) {
  return (
    <>
      {text.split(/(`[^`]+`)/).map((part, index) =>
        part.startsWith('`') && part.endsWith('`') && part.length > 2 ? (
          <code key={index} className="rounded bg-code px-1 font-mono text-[12px]">
            {part.slice(1, -1)}
          </code>
        ) : (
          part
        ),
      )}
    </>
  );
}

function Prose({ text }: { text: string }) {
  if (!text) return null;
  return (
    <div className="mt-1 max-w-3xl space-y-2 text-[13.5px] text-ink-2">
      {text.split(/\n{2,}/).map((paragraph, index) => (
        <p key={index} className="whitespace-pre-line">
          <Inline text={paragraph} />
        </p>
      ))}
    </div>
  );
}
