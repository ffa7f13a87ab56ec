//! How many workspaces of one import start at the same time (PROV-138).

use molecule_core::limits;

/// Stands for "unlimited": a semaphore needs a number.
const UNLIMITED: usize = 1_048_576;

/// The resolved `MOLECULE_PROVISION_CONCURRENCY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvisionCap {
    /// Concurrent starts of one import.
    pub cap: usize,
    /// The value was negative or not a number and the default is in force; worth a warning.
    pub invalid: bool,
}

/// Resolves the variable: unset or empty → 3, `0` → unlimited, negative or not a number → 3 with a warning (PROV-138).
#[must_use]
pub fn provision_cap(value: Option<&str>) -> ProvisionCap {
    let default = limits::PROVISION_CONCURRENCY;
    let text = value.unwrap_or_default().trim();
    if text.is_empty() {
        return ProvisionCap {
            cap: default,
            invalid: false,
        };
    }
    match text.parse() {
        Ok(0) => ProvisionCap {
            cap: UNLIMITED,
            invalid: false,
        },
        Ok(cap) => ProvisionCap {
            cap: std::cmp::min(cap, UNLIMITED),
            invalid: false,
        },
        Err(_) => ProvisionCap {
            cap: default,
            invalid: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        // PROV-138
        for (value, cap, invalid) in [
            (None, 3, false),
            (Some(""), 3, false),
            (Some("  "), 3, false),
            (Some("0"), 1_048_576, false),
            (Some(" 7 "), 7, false),
            (Some("-1"), 3, true),
            (Some("many"), 3, true),
            (Some("18446744073709551615"), 1_048_576, false),
        ] {
            assert_eq!(provision_cap(value), ProvisionCap { cap, invalid }, "{value:?}");
        }
    }
}
