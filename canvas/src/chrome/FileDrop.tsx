import { useState } from 'react';
import { CAN, importBundles } from '../lifecycle';
import { toast } from '../ui/store';

const carriesFiles = (event: React.DragEvent): boolean => event.dataTransfer.types.includes('Files');

/** Takes bundles that are dropped anywhere on the chart (UI-53). Elsewhere a browser would leave the page for them. */
export function FileDrop({ children, className }: { children: React.ReactNode; className: string }) {
  // Entering a child comes before leaving its parent: only the depth tells.
  const [depth, setDepth] = useState(0);
  const on = (act: (event: React.DragEvent) => void) => (event: React.DragEvent) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    act(event);
  };
  return (
    <main
      className={className}
      aria-label="Organisation"
      onDragEnter={on(() => setDepth((n) => n + 1))}
      onDragLeave={on(() => setDepth((n) => Math.max(0, n - 1)))}
      onDragOver={on(() => undefined)}
      onDrop={on((event) => {
        setDepth(0);
        if (CAN.import) void importBundles(event.dataTransfer.files);
        else toast('info', 'This server takes no bundles. Import an agent folder under “Templates” instead.');
      })}
    >
      {children}
      {depth > 0 && (
        <div className="pointer-events-none absolute inset-3 z-20 grid place-items-center rounded-2xl border-2 border-dashed border-accent bg-scrim">
          <p className="rounded-xl bg-surface px-4 py-2 font-medium shadow-high">Drop a .bundle.json to import it</p>
        </div>
      )}
    </main>
  );
}
