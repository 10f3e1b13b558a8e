//! The first event of each of many peers since a moment of its own, in one pass over the packs.

use std::collections::HashMap;

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::event::words::fold;
use crate::event::zone::Zone;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::wire::Damage;
use crate::query::address::parse_address;
use crate::search::bits::Bits;
use crate::search::evidence::WantedPeer;
use crate::search::pack_eval::PackScope;
use crate::search::pack_field::origin;
use crate::search::pack_values::codes;

/// For each wish the time of its first event in a pack, and all events of that time.
pub type Firsts = Vec<Option<(i64, Vec<usize>)>>;

/// Wishes by peer.
#[derive(Debug)]
pub struct Wishes<'w> {
    wanted: &'w [WantedPeer],
    by_peer: HashMap<String, OfPeer>,
}

/// The wishes of one peer.
#[derive(Debug, Default)]
struct OfPeer {
    /// When each begins, and its place among all; in the order of their beginnings.
    begins: Vec<(i64, usize)>,
    /// How long the longest is.
    longest: i64,
}

impl OfPeer {
    /// Wishes that a moment can lie in.
    fn around(&self, time: i64) -> &[(i64, usize)] {
        let from = time.saturating_sub(self.longest);
        let first = self.begins.partition_point(|(begin, _)| *begin < from);
        let end = self.begins.partition_point(|(begin, _)| *begin <= time);
        self.begins.get(first..end).unwrap_or_default()
    }
}

/// An address has one form, whatever its spelling; questions compare peers so.
pub fn as_compared(text: &str) -> String {
    match parse_address(text) {
        Some(address) => address.to_string(),
        None => fold(text),
    }
}

impl<'w> Wishes<'w> {
    /// Sorts wishes by peer.
    pub fn new(wanted: &'w [WantedPeer]) -> Wishes<'w> {
        let mut by_peer: HashMap<String, OfPeer> = HashMap::new();
        for (at, one) in wanted.iter().enumerate() {
            let own = by_peer.entry(as_compared(&one.peer)).or_default();
            let begin = one.range.since.map_or(i64::MIN, |since| since.0);
            let end = one.range.until.map_or(i64::MAX, |until| until.0);
            own.begins.push((begin, at));
            own.longest = own.longest.max(end.saturating_sub(begin));
        }
        by_peer.values_mut().for_each(|own| own.begins.sort_unstable());
        Wishes { wanted, by_peer }
    }

    /// Time that holds all the times asked about.
    pub fn span(&self) -> TimeRange {
        let since = self.wanted.iter().map(|one| one.range.since).min().flatten();
        let open = self.wanted.iter().any(|one| one.range.until.is_none());
        let until = self.wanted.iter().filter_map(|one| one.range.until).max();
        TimeRange { since, until: until.filter(|_| !open) }
    }

    /// Returns the first of the matching events for each wish, with its time: all that share it.
    ///
    /// # Errors
    /// On damage.
    pub fn of_pack(&self, scope: PackScope<'_>, bits: &Bits, zone: Zone) -> Result<Firsts, Damage> {
        let mut first: Firsts = vec![None; self.wanted.len()];
        if bits.is_empty() {
            return Ok(first);
        }
        let pack = scope.pack;
        let times = pack.times()?;
        let columns = if pack.whole()?.is_empty() { origin(pack, &Field::Peer)? } else { None };
        let ids = match &columns {
            Some(columns) => columns.ids(pack)?,
            None => None,
        };
        if let (Some(columns), Some(ids)) = (columns, ids) {
            let texts = columns.texts(pack)?;
            let mut known: Vec<Option<Option<&OfPeer>>> = vec![None; texts.len() + 1];
            for event in bits.iter() {
                let number = ids.get(event).copied().unwrap_or_default();
                let Some(slot) = known.get_mut(number as usize) else { continue };
                let wishes =
                    *slot.get_or_insert_with(|| self.of_peer(texts.text(number).as_deref()));
                self.note(&mut first, wishes, event, times.get(event).copied());
            }
            return Ok(first);
        }
        let events: Vec<usize> = bits.iter().collect();
        let peers = codes(scope, &events, &Field::Peer, zone)?;
        for (at, event) in events.iter().enumerate() {
            for number in peers.of(at) {
                let wishes = self.of_peer(Some(peers.text(number)));
                self.note(&mut first, wishes, *event, times.get(*event).copied());
            }
        }
        Ok(first)
    }

    fn of_peer(&self, peer: Option<&str>) -> Option<&OfPeer> {
        self.by_peer.get(&as_compared(peer?))
    }

    fn note(&self, first: &mut Firsts, own: Option<&OfPeer>, event: usize, time: Option<i64>) {
        let time = time.filter(|time| *time != NO_TIME);
        let Some((own, time)) = own.zip(time) else { return };
        for (_, wish) in own.around(time) {
            let wanted = self.wanted.get(*wish);
            if !wanted.is_some_and(|one| one.range.contains(Some(Timestamp(time)))) {
                continue;
            }
            let Some(slot) = first.get_mut(*wish) else { continue };
            match slot {
                Some((known, events)) if *known == time => events.push(event),
                Some((known, _)) if *known < time => {}
                _ => *slot = Some((time, vec![event])),
            }
        }
    }
}
