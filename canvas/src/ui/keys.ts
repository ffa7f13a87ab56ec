/** Keys by the names that they have on the reader's own keyboard. */

/** What is written on the key of commands: ⌘ on Apple's keyboards, Ctrl on all others. */
export const commandKey = (platform: string): string => (/mac|iphone|ipad|ipod/i.test(platform) ? '⌘' : 'Ctrl ');

const COMMAND = commandKey(globalThis.navigator?.platform ?? '');

/** A key that is pressed together with that of commands: `⌘K` or `Ctrl K`. */
export const command = (key: string): string => COMMAND + key;
