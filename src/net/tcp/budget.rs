//! How many connections there may be, over all workers.

use super::super::Settings;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The connections of this process, counted; every open one holds an [`Admission`].
#[derive(Debug)]
pub(in crate::net) struct Budget {
    total_max: usize,
    per_source_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

impl Budget {
    pub(in crate::net) fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            total_max: settings.connections_max,
            per_source_max: settings.connections_per_source_max,
            taken: Mutex::default(),
        })
    }

    /// A place for one more connection; `source` is given for accepted ones.
    pub(super) fn admit(self: &Arc<Self>, source: Option<IpAddr>) -> Option<Admission> {
        let source = source.map(who);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.total >= self.total_max {
            return None;
        }
        if let Some(source) = source {
            let count = taken.by_source.entry(source).or_default();
            if *count >= self.per_source_max {
                return None;
            }
            *count += 1;
        }
        taken.total += 1;
        Some(Admission { budget: self.clone(), source })
    }
}

/// Whom an address belongs to: an IPv6 host has a whole /64 to choose from.
fn who(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub(super) struct Admission {
    budget: Arc<Budget>,
    source: Option<IpAddr>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut taken = self.budget.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total -= 1;
        if let Some(source) = self.source
            && let Some(count) = taken.by_source.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                taken.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(total: usize, per_source: usize) -> Arc<Budget> {
        Budget::new(&Settings {
            connections_max: total,
            connections_per_source_max: per_source,
            ..Settings::default()
        })
    }

    #[test]
    fn one_source_cannot_take_every_place() {
        let budget = budget(3, 2);
        let source = |text: &str| Some(text.parse().unwrap());
        let first = budget.admit(source("192.0.2.1"));
        let second = budget.admit(source("192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(budget.admit(source("192.0.2.1")).is_none());
        let third = budget.admit(source("192.0.2.2"));
        assert!(third.is_some());
        assert!(budget.admit(None).is_none(), "all places are taken");
        drop(first);
        assert!(budget.admit(source("192.0.2.1")).is_some(), "a place was given back");
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        let budget = budget(9, 1);
        let held = budget.admit(Some("2001:db8::1".parse().unwrap()));
        assert!(held.is_some());
        assert!(budget.admit(Some("2001:db8::2".parse().unwrap())).is_none());
        assert!(budget.admit(Some("2001:db8:0:1::2".parse().unwrap())).is_some());
    }
}
