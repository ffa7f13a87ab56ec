//! Bounds of what agents, requests and calls may take up.

use std::collections::BTreeMap;

use molecule_api::Bodies;
use molecule_backends::process::TierLimits;
use molecule_core::limits;

use super::{parse, reader::Reader, settings as s};

/// What a bound of 0 stands for. Half of what fits: semaphores and sums of it need room.
pub(super) fn unlimited_if_zero(bound: u32) -> usize {
    match bound {
        0 => usize::MAX >> 4,
        bound => bound as usize,
    }
}

pub(super) fn tier_limits(read: &mut Reader<'_>) -> BTreeMap<i32, TierLimits> {
    let mut limits = BTreeMap::new();
    for (tier, memory, cpu) in [
        (2, &s::TIER2_MEMORY_MB, &s::TIER2_CPU_SHARES),
        (3, &s::TIER3_MEMORY_MB, &s::TIER3_CPU_SHARES),
        (4, &s::TIER4_MEMORY_MB, &s::TIER4_CPU_SHARES),
    ] {
        let of_tier = TierLimits {
            memory_mb: read.optional(memory, parse::positive),
            cpu_shares: read.optional(cpu, parse::positive),
        };
        if of_tier != TierLimits::default() {
            limits.insert(tier, of_tier);
        }
    }
    limits
}

/// A part of memory is of the whole, and whoever has one can send the longest body that is theirs.
pub(super) fn bodies(read: &mut Reader<'_>) -> Bodies {
    let longest = |bytes: usize| move |text: &str| parse::mebibytes(text, bytes >> 20);
    let bodies = Bodies {
        all: read.value(&s::BODIES_MEMORY_MB, longest(limits::JSON_BODY_BYTES)),
        of_admin: read.value(&s::ADMIN_BODIES_MEMORY_MB, longest(limits::JSON_BODY_BYTES)),
        of_guests: read.value(&s::GUEST_BODIES_MEMORY_MB, longest(4 * limits::WORKSPACE_BODY_BYTES)),
    };
    for (setting, part) in [
        (&s::ADMIN_BODIES_MEMORY_MB, bodies.of_admin),
        (&s::GUEST_BODIES_MEMORY_MB, bodies.of_guests),
    ] {
        if part > bodies.all {
            let text = format!(
                "expected no more than {}, which is {} MiB",
                s::BODIES_MEMORY_MB.key,
                bodies.all >> 20
            );
            read.problem(setting, text);
        }
    }
    bodies
}
