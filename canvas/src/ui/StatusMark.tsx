import { statusView, type Shape } from '../store/statuses';

const SHAPES: Record<Shape, React.ReactNode> = {
  disc: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
  arc: (
    <g className="mark-spin">
      <circle cx="6" cy="6" r="4.2" fill="none" stroke="currentColor" strokeWidth="1.6" opacity="0.3" />
      <path
        d="M6 1.8a4.2 4.2 0 0 1 4.2 4.2"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.8"
        strokeLinecap="round"
      />
    </g>
  ),
  triangle: <path d="M6 1.2 11.2 10.6H.8Z" fill="currentColor" />,
  cross: (
    <path
      d="m2.2 2.2 7.6 7.6M9.8 2.2 2.2 9.8"
      fill="none"
      stroke="currentColor"
      strokeWidth="2.2"
      strokeLinecap="round"
    />
  ),
  bars: <path d="M3 2h2.2v8H3zM6.8 2H9v8H6.8z" fill="currentColor" />,
  ring: <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" strokeWidth="1.8" />,
  dotted: (
    <circle
      cx="6"
      cy="6"
      r="4.3"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.9"
      strokeDasharray="1.9 2.6"
      strokeLinecap="round"
    />
  ),
  moon: <path d="M9.9 7.6A4.6 4.6 0 0 1 4.4 2 4.5 4.5 0 1 0 9.9 7.6Z" fill="currentColor" />,
};

/** A status as colour and shape; its word is for those who see neither, unless it stands beside the mark already. */
export function StatusMark({ status, label = true, size = 12 }: { status: string; label?: boolean; size?: number }) {
  const view = statusView(status);
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 12 12"
      className={`tone-${view.tone} shrink-0 text-(--tone)`}
      {...(label ? { role: 'img', 'aria-label': view.label } : { 'aria-hidden': true })}
    >
      {SHAPES[view.shape]}
    </svg>
  );
}
