/** The product's mark: three atoms and their bonds. */
export function Logo({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" aria-hidden className="shrink-0">
      <path d="M8 8.5 16 7M8.5 10.5 13 17" stroke="var(--ink-3)" strokeWidth="1.6" />
      <circle cx="6.5" cy="8.5" r="4" fill="var(--accent)" />
      <circle cx="17.5" cy="6.5" r="2.8" fill="var(--green)" />
      <circle cx="14" cy="18" r="3.2" fill="var(--violet)" />
    </svg>
  );
}
