import { useQuery, useQueryClient } from '@tanstack/react-query';
import { CircleCheck, TriangleAlert } from 'lucide-react';
import { useState } from 'react';
import { http } from '../app';
import { serves, type ModelEndpoint, type ServerInfo } from '../lib/api';
import { list, obj, str } from '../lib/json';
import { ago, count, cut, sentence } from '../lib/text';
import { FactList, Failed, Field, FormError, Loading } from '../ui/bits';
import { toast } from '../ui/store';
import { loopsOf } from './server';

/** Milliseconds that trying all endpoints of models may take. */
const MODELS_TIMEOUT_MS = 60_000;

/** What runs here, whether agents have something to think with, and whether the server keeps up. */
export function Server() {
  return (
    <div className="space-y-6">
      <About />
      {serves('GET /admin/models') && <Models />}
      {serves('GET /admin/liveness') && <Loops />}
      {serves('PUT /admin/log') && <Log />}
    </div>
  );
}

function Section({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <section aria-label={title} className="space-y-2">
      <h3 className="text-[13px] font-semibold">{title}</h3>
      {children}
    </section>
  );
}

function About() {
  const info = useQuery({
    queryKey: ['server'],
    queryFn: async () => (await http.json('GET', '/admin/server')) as ServerInfo,
  });
  if (info.isPending) return <Loading what="the server" />;
  if (info.isError) return <Failed what="The server" error={info.error} retry={() => void info.refetch()} />;
  const { version, backend, database, sandbox, runtimes } = info.data;
  const facts: [string, string][] = [
    ['Version', version],
    ['Runs agents with', backend ?? 'nothing: external agents only'],
    ...(sandbox ? ([['Sandbox', sandbox]] as [string, string][]) : []),
    ['Database', database],
    ['Runtimes', runtimes.join(', ')],
  ];
  return <FactList facts={facts} />;
}

/** Endpoints that global secrets lead to, each tried as this is opened. */
function Models() {
  const models = useQuery({
    queryKey: ['server', 'models'],
    queryFn: async () =>
      list(await http.json('GET', '/admin/models', { timeoutMs: MODELS_TIMEOUT_MS })) as ModelEndpoint[],
    staleTime: 60_000,
  });
  return (
    <Section title="Models">
      {models.isPending && <Loading what="what each endpoint answers" />}
      {models.isError && <Failed what="The endpoints" error={models.error} retry={() => void models.refetch()} />}
      {models.data?.length === 0 && (
        <p className="text-[13px] text-ink-2">
          No global secret leads to one. Store a key under Global secrets, such as ANTHROPIC_API_KEY, or the address of
          your own endpoint as MOLECULE_LLM_BASE_URL.
        </p>
      )}
      <ul className="divide-y divide-line rounded-xl border border-line empty:hidden" aria-label="Endpoints">
        {models.data?.map((endpoint) => (
          <li key={`${endpoint.credential} ${endpoint.url}`} className="flex items-start gap-2.5 px-3 py-2 text-[13px]">
            <Mark bad={Boolean(endpoint.error)} />
            <span className="text min-w-0 flex-1">
              {cut(endpoint.url, 120) || 'an unusable address'}
              <span className="block text-[12px] text-ink-3">by {cut(endpoint.credential, 60)}</span>
              {endpoint.error && <span className="block text-bad">{sentence(cut(endpoint.error, 300))}</span>}
            </span>
            {typeof endpoint.models === 'number' && (
              <span className="text-[12px] whitespace-nowrap text-ink-3">{count(endpoint.models, 'model')}</span>
            )}
          </li>
        ))}
      </ul>
      {models.data && models.data.length > 0 && (
        <button type="button" className="btn" disabled={models.isFetching} onClick={() => void models.refetch()}>
          {models.isFetching ? 'Trying…' : 'Try them again'}
        </button>
      )}
    </Section>
  );
}

function Loops() {
  const liveness = useQuery({
    queryKey: ['server', 'liveness'],
    queryFn: async () => ({ answer: await http.json('GET', '/admin/liveness'), at: Date.now() }),
    refetchInterval: 10_000,
  });
  const loops = liveness.data ? loopsOf(liveness.data.answer, liveness.data.at) : [];
  const bad = loops.filter((loop) => loop.trouble).length;
  return (
    <Section title="Background work">
      {liveness.isPending && <Loading what="the loops" />}
      {liveness.isError && <Failed what="The loops" error={liveness.error} retry={() => void liveness.refetch()} />}
      {liveness.data && (
        <p className={`notice items-center ${bad > 0 ? 'notice-bad' : 'notice-good'}`} role="status">
          <Mark bad={bad > 0} />
          {bad > 0
            ? `${count(bad, 'loop is', 'loops are')} in trouble; the server’s log says more.`
            : `All ${loops.length} loops run.`}
        </p>
      )}
      <ul className="divide-y divide-line rounded-xl border border-line empty:hidden" aria-label="Loops">
        {loops.map((loop) => (
          <li key={loop.name} className="flex items-start gap-2.5 px-3 py-2 text-[13px]">
            <Mark bad={loop.trouble !== ''} />
            <span className="text min-w-0 flex-1">
              <span className="font-medium">{cut(loop.name, 60)}</span>
              <span className="block text-[12px] text-ink-3">{cut(loop.description, 200)}</span>
              {loop.trouble && <span className="block text-bad">{sentence(cut(loop.trouble, 300))}</span>}
            </span>
            <span className="text-[12px] whitespace-nowrap text-ink-3">{loop.at && ago(loop.at)}</span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

function Mark({ bad }: { bad: boolean }) {
  return bad ? (
    <TriangleAlert size={15} className="mt-0.5 shrink-0 text-bad" role="img" aria-label="In trouble" />
  ) : (
    <CircleCheck size={15} className="mt-0.5 shrink-0 text-good" role="img" aria-label="Well" />
  );
}

function Log() {
  const client = useQueryClient();
  const log = useQuery({
    queryKey: ['server', 'log'],
    queryFn: async () => str(obj(await http.json('GET', '/admin/log')).filter),
  });
  const [typed, setTyped] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const filter = typed ?? log.data ?? '';
  const save = async (event: React.FormEvent) => {
    event.preventDefault();
    setError(null);
    try {
      await http.json('PUT', '/admin/log', { body: { filter: filter.trim() } });
      await client.invalidateQueries({ queryKey: ['server', 'log'] });
      setTyped(null);
      toast('success', 'The server logs by it now');
    } catch (thrown) {
      setError(thrown);
    }
  };
  if (log.isPending) return <Loading what="what is logged" />;
  if (log.isError) return <Failed what="What is logged" error={log.error} retry={() => void log.refetch()} />;
  return (
    <Section title="Log">
      <form className="space-y-2" onSubmit={(event) => void save(event)}>
        <Field
          label="What the server writes into its log"
          hint="A level, or levels by part: info,molecule_platform=debug. Until it is changed again or the server stops."
        >
          {(ids) => (
            <div className="flex gap-2">
              <input
                {...ids}
                className="field font-mono"
                spellCheck={false}
                value={filter}
                onChange={(event) => setTyped(event.target.value)}
              />
              <button type="submit" className="btn h-9" disabled={!filter.trim() || filter === log.data}>
                Log by it
              </button>
            </div>
          )}
        </Field>
        <FormError error={error} />
      </form>
    </Section>
  );
}
