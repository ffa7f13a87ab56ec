import { useQueryClient } from '@tanstack/react-query';
import { FileUp, FolderUp, RefreshCw } from 'lucide-react';
import { useRef, useState } from 'react';
import { http } from '../app';
import { obj, str } from '../lib/json';
import { CAN, importBundles } from '../lifecycle';
import { count } from '../lib/text';
import { useOrgTemplates, useTemplates } from '../panel/queries';
import { Empty, Failed, FormError, Loading } from '../ui/bits';
import { Modal } from '../ui/Modal';
import { showDialog, toast } from '../ui/store';

/** Bytes of a file that is taken into a template (UI-71). */
const MAX_FILE = 1 << 20;

export function TemplatesDialog({ onClose }: { onClose: () => void }) {
  const templates = useTemplates();
  const orgs = useOrgTemplates();
  const client = useQueryClient();
  const picker = useRef<HTMLInputElement>(null);
  const bundles = useRef<HTMLInputElement>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const refresh = () =>
    Promise.all([
      client.invalidateQueries({ queryKey: ['templates'] }),
      client.invalidateQueries({ queryKey: ['org-templates'] }),
    ]);
  const take = async (list: FileList) => {
    setBusy(true);
    setError(null);
    try {
      const { name, files, left } = await folderOf(list);
      const answer = obj(await http.json('POST', '/templates/import', { body: { name, files } }));
      toast('success', `Template “${str(answer.name)}” added`);
      if (left.length > 0)
        toast('info', `Left out, because they are no text or above 1 MB: ${left.slice(0, 5).join(', ')}`);
      await refresh();
    } catch (thrown) {
      setError(thrown instanceof TypeError ? thrown.message : thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal
      title="Templates"
      description="Import a whole organisation, or create one workspace from a template."
      wide
      onClose={onClose}
    >
      <div className="mb-4 flex gap-2">
        <button type="button" className="btn" onClick={() => void refresh()}>
          <RefreshCw size={14} aria-hidden /> Refresh
        </button>
        <button type="button" className="btn" disabled={busy} onClick={() => picker.current?.click()}>
          <FolderUp size={14} aria-hidden /> {busy ? 'Importing…' : 'Import agent folder…'}
        </button>
        {CAN.import && (
          <>
            <button type="button" className="btn" onClick={() => bundles.current?.click()}>
              <FileUp size={14} aria-hidden /> Import bundle…
            </button>
            <input
              ref={bundles}
              type="file"
              accept=".json"
              multiple
              className="sr-only"
              tabIndex={-1}
              aria-label="Bundles"
              onChange={(event) => {
                if (event.target.files?.length) void importBundles([...event.target.files]).then(onClose);
                event.target.value = '';
              }}
            />
          </>
        )}
        <input
          ref={(field) => {
            picker.current = field;
            field?.setAttribute('webkitdirectory', '');
          }}
          type="file"
          className="sr-only"
          tabIndex={-1}
          aria-label="Folder of an agent"
          onChange={(event) => {
            if (event.target.files?.length) void take(event.target.files);
            event.target.value = '';
          }}
        />
      </div>
      <FormError error={error} />
      <h3 className="mb-2 text-[13px] font-semibold">
        Organisations {orgs.data && <span className="text-ink-3">({orgs.data.length})</span>}
      </h3>
      {orgs.isPending && <Loading what="the organisations" />}
      {orgs.isError && <Failed what="The organisations" error={orgs.error} retry={() => void orgs.refetch()} />}
      {orgs.data?.length === 0 && <Empty>This server has none.</Empty>}
      <ul className="mb-6 grid gap-2 sm:grid-cols-2">
        {orgs.data?.map((one) => (
          <li key={one.dir}>
            <button
              type="button"
              className="flex h-full w-full flex-col rounded-xl border border-line p-3 text-left hover:border-accent"
              onClick={() => showDialog({ kind: 'import', template: one })}
            >
              <span className="text-[14px] font-semibold">{one.name}</span>
              <span className="text mt-0.5 line-clamp-2 text-[12.5px] text-ink-2">{one.description}</span>
              <span className="mt-auto pt-2 text-[12px] text-ink-3">{count(one.workspaces, 'workspace')}</span>
            </button>
          </li>
        ))}
      </ul>
      <h3 className="mb-2 text-[13px] font-semibold">Workspaces</h3>
      {templates.isPending && <Loading what="the templates" />}
      {templates.isError && (
        <Failed what="The templates" error={templates.error} retry={() => void templates.refetch()} />
      )}
      {templates.data?.length === 0 && <Empty>This server has none.</Empty>}
      <ul className="grid gap-2 sm:grid-cols-2">
        {templates.data?.map((one) => (
          <li key={one.id}>
            <button
              type="button"
              className="flex h-full w-full flex-col rounded-xl border border-line p-3 text-left hover:border-accent"
              onClick={() => showDialog({ kind: 'create', template: one.id })}
            >
              <span className="flex items-center gap-2 text-[14px] font-semibold">
                {one.name} <span className="pill">{one.runtime || 'claude-code'}</span>
                {one.tier > 0 && <span className="pill">T{one.tier}</span>}
              </span>
              <span className="text mt-0.5 line-clamp-2 text-[12.5px] text-ink-2">{one.description}</span>
              {one.skills.length > 0 && (
                <span className="mt-auto truncate pt-2 text-[12px] text-ink-3">
                  {one.skills.slice(0, 3).join(' · ')}
                </span>
              )}
            </button>
          </li>
        ))}
      </ul>
    </Modal>
  );
}

/** The text files of a folder by their path in it. */
async function folderOf(list: FileList): Promise<{ name: string; files: Record<string, string>; left: string[] }> {
  const files: Record<string, string> = {};
  const left: string[] = [];
  let name = '';
  for (const file of list) {
    const path = file.webkitRelativePath || file.name;
    const cutAt = path.indexOf('/');
    if (cutAt > 0) name ||= path.slice(0, cutAt);
    const inside = cutAt > 0 ? path.slice(cutAt + 1) : path;
    const text = file.size <= MAX_FILE ? await file.text() : '\0';
    if (text.includes('\0') || text.includes('\uFFFD')) left.push(inside);
    else files[inside] = text;
  }
  if (Object.keys(files).length === 0) throw new TypeError('The folder holds no text file of up to 1 MB.');
  return { name: name || 'imported', files, left };
}
