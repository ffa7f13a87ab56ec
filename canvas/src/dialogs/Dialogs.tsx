import { showDialog, type Dialog } from '../ui/store';
import { ConnectDialog } from './ConnectDialog';
import { CreateDialog } from './CreateDialog';
import { HelpDialog } from './HelpDialog';
import { ImportDialog } from './ImportDialog';
import { LogsDialog } from './LogsDialog';
import { Palette } from './Palette';
import { SettingsDialog } from './SettingsDialog';
import { TemplatesDialog } from './TemplatesDialog';

/** The dialog that is open. */
export default function Dialogs({ dialog }: { dialog: Dialog }) {
  const close = () => showDialog(null);
  switch (dialog.kind) {
    case 'create':
      return <CreateDialog parent={dialog.parent ?? null} template={dialog.template ?? ''} onClose={close} />;
    case 'templates':
      return <TemplatesDialog onClose={close} />;
    case 'import':
      return <ImportDialog template={dialog.template} onClose={close} />;
    case 'connect':
      return <ConnectDialog name={dialog.name} connection={dialog.connection} onClose={close} />;
    case 'settings':
      return <SettingsDialog onClose={close} />;
    case 'palette':
      return <Palette onClose={close} />;
    case 'help':
      return <HelpDialog onClose={close} />;
    case 'logs':
      return <LogsDialog id={dialog.id} onClose={close} />;
  }
}
