import { useQuery } from '@tanstack/react-query';
import { Check } from 'lucide-react';
import { useState } from 'react';
import { toast } from '../ui/store';
import { loginAddress } from './host';
import { begin, Page } from './page';
import { checkout, checkoutFailure, whoami } from './session';

interface Plan {
  id: string;
  name: string;
  text: string;
  holds: readonly string[];
}

const PLANS: readonly Plan[] = [
  {
    id: 'free',
    name: 'Starter',
    text: 'For a first team of agents.',
    holds: ['The whole canvas', 'Agents of your own, connected from outside', 'Agents that sleep while idle'],
  },
  {
    id: 'pro',
    name: 'Team',
    text: 'For teams that run all day.',
    holds: ['Agents that are always on', 'A budget for every role', 'All of the first plan'],
  },
  {
    id: 'business',
    name: 'Business',
    text: 'For organisations of organisations.',
    holds: ['Larger tiers', 'A record of every change', 'All of the second plan'],
  },
];

/** What the plans cost, as whoever hosts this says to the build: `free=$0,pro=$20`. */
const PRICES = new Map(
  (import.meta.env.NEXT_PUBLIC_PRICES ?? '')
    .split(',')
    .map((one) => one.split('=').map((part) => part.trim()))
    .map(([id = '', price = '']) => [id, price]),
);

function Pricing() {
  const person = useQuery({ queryKey: ['me'], queryFn: whoami });
  const [busy, setBusy] = useState('');
  const choose = async (plan: Plan) => {
    if (!person.data) {
      // A newcomer signs up first, and comes back here.
      window.location.assign(`${loginAddress(window.location, import.meta.env)}&screen=signup`);
      return;
    }
    setBusy(plan.id);
    try {
      await checkout({ plan: plan.id });
    } catch (thrown) {
      toast('error', `The checkout of “${plan.name}” could not be opened. ${checkoutFailure(thrown)}`);
      setBusy('');
    }
  };
  return (
    <Page
      title="Pricing"
      intro="Models are billed by their providers, to your own keys. What we bill is the room that your agents run in."
    >
      <ul className="grid gap-4 md:grid-cols-3">
        {PLANS.map((plan, index) => (
          <li
            key={plan.id}
            className={`flex flex-col rounded-2xl border bg-surface p-5 shadow-card ${index === 1 ? 'border-accent' : 'border-line'}`}
          >
            <h2 className="text-[16px] font-semibold">{plan.name}</h2>
            <p className="mt-1 text-[13px] text-ink-2">{plan.text}</p>
            {PRICES.get(plan.id) ? (
              <p className="mt-4">
                <span className="text-3xl font-semibold tracking-tight tabular-nums">{PRICES.get(plan.id)}</span>{' '}
                <span className="text-[13px] text-ink-3">a month</span>
              </p>
            ) : (
              <p className="mt-4 text-[13px] text-ink-3">You see the price before you pay.</p>
            )}
            <ul className="mt-4 space-y-1.5 text-[13px]">
              {plan.holds.map((each) => (
                <li key={each} className="flex gap-2">
                  <Check size={14} className="mt-1 shrink-0 text-good" aria-hidden /> {each}
                </li>
              ))}
            </ul>
            <div className="mt-auto pt-6">
              <button
                type="button"
                className={`btn h-9 w-full ${index === 1 ? 'btn-primary' : ''}`}
                disabled={busy !== '' || person.isPending}
                onClick={() => void choose(plan)}
              >
                {busy === plan.id ? 'Opening…' : person.data ? `Choose ${plan.name}` : `Sign up for ${plan.name}`}
              </button>
            </div>
          </li>
        ))}
      </ul>
    </Page>
  );
}

begin(<Pricing />);
