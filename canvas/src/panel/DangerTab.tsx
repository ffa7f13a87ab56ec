import { useState } from 'react';
import { askDelete, restart, treeNow } from '../actions';
import { http } from '../app';
import { subtree } from '../graph/tree';
import type { Workspace } from '../lib/api';
import { explain } from '../lib/http';
import { count } from '../lib/text';
import {
  askCollapse,
  askPause,
  CAN,
  expand,
  exportBundle,
  hibernate,
  mayHibernate,
  mayPause,
  mayResume,
  mayWake,
  resume,
  wake,
} from '../lifecycle';
import { confirm, toast } from '../ui/store';

export default function DangerTab({ workspace }: { workspace: Workspace }) {
  const { id } = workspace;
  const below = subtree(treeNow(), id).size - 1;
  const [busy, setBusy] = useState(false);
  const external = workspace.runtime === 'external';
  const reset = () =>
    confirm({
      title: 'Restart with an empty session?',
      text: 'The agent forgets the conversation it is in. What is in its memory and in the chat’s history stays.',
      action: 'Restart empty',
      danger: true,
      run: async () => {
        setBusy(true);
        try {
          await http.json('POST', `/workspaces/${id}/restart`, { body: { reset: true } });
          toast('info', 'Restarting with an empty session');
        } catch (thrown) {
          toast('error', `It was not restarted. ${explain(thrown)}`);
        } finally {
          setBusy(false);
        }
      },
    });
  return (
    <div className="min-h-0 flex-1 space-y-3 overflow-y-auto p-4">
      {!external && (
        <>
          <Act
            title="Restart"
            text="Stops the agent and starts it again. What it does now is lost; its session goes on."
          >
            <button type="button" className="btn" onClick={() => void restart(id)}>
              Restart
            </button>
          </Act>
          <Act title="Restart with an empty session" text="For an agent that has lost its way in a long conversation.">
            <button type="button" className="btn" disabled={busy} onClick={reset}>
              Restart empty…
            </button>
          </Act>
        </>
      )}
      {mayPause(workspace) && (
        <Act
          title="Pause"
          text="Stops the agent, and all below it, until somebody resumes them. Nothing is lost but what they do now."
        >
          <button type="button" className="btn" onClick={() => askPause([id])}>
            Pause…
          </button>
        </Act>
      )}
      {mayResume(workspace) && (
        <Act title="Resume" text="Starts the agent again, and those below it that were paused with it.">
          <button type="button" className="btn btn-primary" onClick={() => void resume(id)}>
            Resume
          </button>
        </Act>
      )}
      {mayHibernate(workspace) && (
        <Act title="Put to sleep" text="Stops the agent until the next message for it arrives.">
          <button type="button" className="btn" onClick={() => void hibernate(id)}>
            Put to sleep
          </button>
        </Act>
      )}
      {mayWake(workspace) && (
        <Act title="Wake" text="Starts the agent now, without waiting for a message.">
          <button type="button" className="btn btn-primary" onClick={() => void wake(id)}>
            Wake
          </button>
        </Act>
      )}
      {CAN.expand && below === 0 && (
        <Act title="Expand to a team" text="Adds the members that its template names, below it.">
          <button type="button" className="btn" onClick={() => void expand(id)}>
            Expand
          </button>
        </Act>
      )}
      {CAN.export && (
        <Act
          title="Export"
          text="A file with its role, prompt and settings, and its team; no secrets. It can be imported anywhere."
        >
          <button type="button" className="btn" onClick={() => void exportBundle(id)}>
            Export
          </button>
        </Act>
      )}
      {CAN.collapse && below > 0 && (
        <Act title="Remove the team" text={`Deletes the ${count(below, 'workspace')} below it and keeps this one.`}>
          <button type="button" className="btn btn-danger" onClick={() => askCollapse(id)}>
            Remove team…
          </button>
        </Act>
      )}
      <Act
        title="Delete"
        text={
          below > 0
            ? `Removes this workspace and ${count(below, 'workspace')} below it, with their secrets and tokens.`
            : 'Removes this workspace with its secrets and tokens.'
        }
      >
        <button type="button" className="btn btn-danger" onClick={() => askDelete([id])}>
          Delete…
        </button>
      </Act>
    </div>
  );
}

function Act({ title, text, children }: { title: string; text: string; children: React.ReactNode }) {
  return (
    <section className="flex items-center gap-4 rounded-xl border border-line p-3">
      <div className="min-w-0 flex-1">
        <h3 className="text-[13px] font-semibold">{title}</h3>
        <p className="mt-0.5 text-[12.5px] text-ink-2">{text}</p>
      </div>
      {children}
    </section>
  );
}
