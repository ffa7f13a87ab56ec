import { askDelete, askRestartAll } from '../actions';
import { askPause, CAN } from '../lifecycle';
import { useOrg } from '../store/org';
import { focusOn, select, useUi } from '../ui/store';

/** What can be done to several at once (UI-55). Whoever it failed for stays selected. */
export function BatchBar() {
  const selected = useUi((state) => state.selected);
  const survivors = useUi((state) => state.survivors);
  const byId = useOrg((state) => state.byId);
  const ids = [...selected].filter((id) => byId.has(id));
  if (ids.length < (survivors ? 1 : 2)) return null;
  return (
    <div
      className="anim-rise absolute bottom-5 left-1/2 z-10 flex -translate-x-1/2 items-center gap-1.5 rounded-2xl border border-line bg-surface p-1.5 pl-4 shadow-high"
      role="toolbar"
      aria-label="Selected workspaces"
    >
      <span className="mr-2 text-[13px] font-medium tabular-nums" aria-live="polite">
        {ids.length.toLocaleString()} selected
      </span>
      <button type="button" className="btn" onClick={() => focusOn(ids)}>
        Zoom to
      </button>
      <button type="button" className="btn" onClick={() => askRestartAll(ids)}>
        Restart…
      </button>
      {CAN.pause && (
        <button type="button" className="btn" onClick={() => askPause(ids)}>
          Pause…
        </button>
      )}
      <button type="button" className="btn btn-danger" onClick={() => askDelete(ids)}>
        Delete…
      </button>
      <button type="button" className="btn btn-ghost" onClick={() => select([])}>
        Clear
      </button>
    </div>
  );
}
