/** What a build of the canvas may be told about where it will be served (UI-2…5). */
interface ImportMetaEnv {
  /** Where the API is; empty or unset: where the page is. */
  readonly NEXT_PUBLIC_PLATFORM_URL?: string;
  /** Where sockets are; empty or unset: where the API is. */
  readonly NEXT_PUBLIC_WS_URL?: string;
  readonly NEXT_PUBLIC_SAAS_HOST_SUFFIX?: string;
  readonly NEXT_PUBLIC_DEFAULT_ORG_SLUG?: string;
  /** What the plans of the hosted product cost a month, such as `free=$0,pro=$20`. */
  readonly NEXT_PUBLIC_PRICES?: string;
  /** Presented where nobody has signed in. Everybody who can load the page can read it. */
  readonly NEXT_PUBLIC_ADMIN_TOKEN?: string;
}
