/** The API's types under short names. The types themselves are generated from the OpenAPI document. */

import type { components } from '../generated/api';
import { ROUTES } from '../generated/routes';

type Schemas = components['schemas'];

export type Workspace = Schemas['WorkspaceListItem'];
export type ActivityRow = Schemas['ActivityRow'];
export type EventRow = Schemas['EventRow'];
export type Template = Schemas['TemplateSummary'];
export type OrgTemplate = Schemas['OrgTemplateView'];
export type ImportedOrg = Schemas['ImportedOrg'];
export type CreateWorkspace = Schemas['CreateWorkspace'];
export type CreatedWorkspace = Schemas['CreatedWorkspace'];
export type Connection = Schemas['Connection'];
export type SecretView = Schemas['SecretView'];
export type TokenView = Schemas['TokenView'];
export type OrgTokenView = Schemas['OrgTokenView'];
export type Peer = Schemas['Peer'];
export type UpdateWorkspace = Schemas['UpdateWorkspace'];
export type RestoredWorkspace = Schemas['RestoredWorkspace'];
export type ServerInfo = Schemas['ServerInfo'];
export type ModelEndpoint = Schemas['ModelEndpoint'];
export type RestartedWorkspace = Schemas['RestartedWorkspace'];
export type WorkspaceLogs = Schemas['WorkspaceLogs'];

/** Whether the server that this page was built with has an operation, such as `POST /workspaces/{id}/pause`. */
export const serves = (operation: string): boolean => ROUTES.has(operation);
