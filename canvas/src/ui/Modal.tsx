import { X } from 'lucide-react';
import { Dialog } from 'radix-ui';

/**
 * A dialog: titled, closed by Esc and by its button, focus held inside. The page behind it does not scroll anyway, so the
 * scroll lock of Radix' overlay is not used: it writes a style element, which the Content-Security-Policy forbids.
 */
export function Modal({
  title,
  description,
  wide = false,
  onClose,
  children,
  footer,
}: {
  title: string;
  description?: string;
  wide?: boolean;
  onClose: () => void;
  children: React.ReactNode;
  footer?: React.ReactNode;
}) {
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <div className="fixed inset-0 z-40 bg-scrim" aria-hidden />
        <Dialog.Content
          {...(description ? {} : { 'aria-describedby': undefined })}
          className={`anim-rise fixed top-1/2 left-1/2 z-50 flex max-h-[92vh] w-[92vw] -translate-x-1/2 -translate-y-1/2
            flex-col rounded-2xl border border-line bg-surface shadow-high ${wide ? 'max-w-3xl' : 'max-w-lg'}`}
        >
          <header className="flex items-start gap-3 px-5 pt-4 pb-3">
            <div className="min-w-0 flex-1">
              <Dialog.Title className="text text-[16px] font-semibold tracking-tight">{title}</Dialog.Title>
              {description && (
                <Dialog.Description className="mt-0.5 text-[13px] text-ink-2">{description}</Dialog.Description>
              )}
            </div>
            <Dialog.Close className="btn btn-ghost btn-icon -mt-1 -mr-2" aria-label="Close">
              <X size={16} aria-hidden />
            </Dialog.Close>
          </header>
          <div className="min-h-0 flex-1 overflow-y-auto px-5 pb-5">{children}</div>
          {footer && <footer className="flex justify-end gap-2 border-t border-line px-5 py-3">{footer}</footer>}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
