import { STATUSES } from '../store/statuses';
import { command } from '../ui/keys';
import { Modal } from '../ui/Modal';
import { StatusMark } from '../ui/StatusMark';

const KEYS: readonly [string, string][] = [
  [`${command('K')} or /`, 'Search workspaces and commands'],
  ['N', 'New workspace'],
  ['Arrows', 'Next card in that direction'],
  ['Enter', 'Open the card; again: its first member'],
  ['Shift Enter', 'The card above'],
  ['Space', 'Select for an action on several'],
  ['+ and -', 'Open and fold a team'],
  ['Z', 'Zoom to the card or team'],
  ['Menu key', 'All that can be done with the card'],
  [`${command(']')} and ${command('[')}`, 'Change places with the next or the one before'],
  [command('Z'), 'Undo the last move or deletion'],
  [command(','), 'Settings'],
  ['Esc', 'Close, or clear the selection'],
];

export function HelpDialog({ onClose }: { onClose: () => void }) {
  return (
    <Modal title="Help and legend" wide onClose={onClose}>
      <div className="grid gap-6 sm:grid-cols-2">
        <section aria-labelledby="legend-title">
          <h3 id="legend-title" className="mb-2 text-[13px] font-semibold">
            What the marks say
          </h3>
          <dl className="space-y-1.5">
            {Object.entries(STATUSES).map(([status, view]) => (
              <div key={status} className="flex items-start gap-2.5 text-[13px]">
                <dt className="flex w-32 shrink-0 items-center gap-2">
                  <StatusMark status={status} label={false} /> {view.label}
                </dt>
                <dd className="text-ink-2">{view.hint || 'The agent is there and answers.'}</dd>
              </div>
            ))}
          </dl>
          <p className="mt-3 text-[13px] text-ink-2">
            A card inside another one reports to it. Agents talk within their team, to their lead and to their reports;
            a line with a spark is a message that passes. Drag a card into another one to change that.
          </p>
        </section>
        <section aria-labelledby="keys-title">
          <h3 id="keys-title" className="mb-2 text-[13px] font-semibold">
            Keys
          </h3>
          <dl className="space-y-1.5">
            {KEYS.map(([key, text]) => (
              <div key={key} className="flex items-baseline gap-2.5 text-[13px]">
                <dt className="w-36 shrink-0">
                  <kbd className="kbd">{key}</kbd>
                </dt>
                <dd className="text-ink-2">{text}</dd>
              </div>
            ))}
          </dl>
        </section>
      </div>
    </Modal>
  );
}
