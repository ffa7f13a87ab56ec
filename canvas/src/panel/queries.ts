/** What the tabs read. Keys begin with the workspace, so that one never shows another's data (UI-86). */

import { useQuery } from '@tanstack/react-query';
import { http } from '../app';
import type { ActivityRow, EventRow, OrgTemplate, Peer, SecretView, Template, TokenView } from '../lib/api';
import { list, obj, str } from '../lib/json';

const get = async (path: string): Promise<unknown> => http.json('GET', path);

export const useTemplates = () =>
  useQuery({ queryKey: ['templates'], queryFn: async () => list(await get('/templates')) as Template[] });

export const useOrgTemplates = () =>
  useQuery({ queryKey: ['org-templates'], queryFn: async () => list(await get('/org/templates')) as OrgTemplate[] });

export const useGlobalSecrets = () =>
  useQuery({ queryKey: ['secrets'], queryFn: async () => list(await get('/settings/secrets')) as SecretView[] });

export const useSecrets = (id: string) =>
  useQuery({
    queryKey: [id, 'secrets'],
    queryFn: async () => list(await get(`/workspaces/${id}/secrets`)) as SecretView[],
  });

export const useTokens = (id: string) =>
  useQuery({
    queryKey: [id, 'tokens'],
    queryFn: async () => list(obj(await get(`/workspaces/${id}/tokens`)).tokens) as TokenView[],
  });

export const useActivity = (id: string, query: string, everyMs: number | false) =>
  useQuery({
    queryKey: [id, 'activity', query],
    queryFn: async () => list(await get(`/workspaces/${id}/activity?${query}`)) as ActivityRow[],
    refetchInterval: everyMs,
  });

export const useWorkspaceEvents = (id: string) =>
  useQuery({
    queryKey: [id, 'events'],
    queryFn: async () => list(await get(`/events/${id}`)) as EventRow[],
    refetchInterval: 10_000,
  });

/** Peers are read only of agents that are there (UI-100). */
export const usePeers = (id: string, on: boolean) =>
  useQuery({
    queryKey: [id, 'peers'],
    queryFn: async () => list(await get(`/registry/${id}/peers`)) as Peer[],
    enabled: on,
  });

export const useModel = (id: string) =>
  useQuery({
    queryKey: [id, 'model'],
    queryFn: async () => {
      const [model, provider] = await Promise.all([get(`/workspaces/${id}/model`), get(`/workspaces/${id}/provider`)]);
      return { model: str(obj(model).model), provider: str(obj(provider).provider) };
    },
    staleTime: 0,
  });
