/** Reading of values whose shape nobody promised: what agents and events carry. */

export type Obj = Record<string, unknown>;

export function isObj(value: unknown): value is Obj {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value as an object; an empty one when it is none. */
export const obj = (value: unknown): Obj => (isObj(value) ? value : {});
/** The value as text; "" when it is none. */
export const str = (value: unknown): string => (typeof value === 'string' ? value : '');
/** The value as a list; an empty one when it is none. */
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
/** The value as a finite number; null when it is none. */
export const num = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;

/** The parsed text; `undefined` when it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
