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
    /// Which wishes each peer has.
    peers: Vec<Vec<usize>>,
    by_peer: HashMap<String, usize>,
}

/// What a pack has of one peer: the wishes that can be met in it, and events with their times.
#[derive(Clone, Debug, Default)]
struct Here {
    wishes: Vec<usize>,
    /// When the first of them begins.
    since: i64,
    events: Vec<(i64, usize)>,
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
        let mut own = Wishes { wanted, peers: Vec::new(), by_peer: HashMap::new() };
        for (at, one) in wanted.iter().enumerate() {
            let next = own.peers.len();
            let peer = *own.by_peer.entry(as_compared(&one.peer)).or_insert(next);
            if peer == next {
                own.peers.push(Vec::new());
            }
            if let Some(wishes) = own.peers.get_mut(peer) {
                wishes.push(at);
            }
        }
        own
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
        let time_of = |event: usize| times.get(event).copied().filter(|time| *time != NO_TIME);
        let mut here = self.here(bits.iter().filter_map(time_of));
        let columns = if pack.whole()?.is_empty() { origin(pack, &Field::Peer)? } else { None };
        let ids = match &columns {
            Some(columns) => columns.ids(pack)?,
            None => None,
        };
        if let (Some(columns), Some(ids)) = (columns, ids) {
            let texts = columns.texts(pack)?;
            let mut known: Vec<Option<Option<usize>>> = vec![None; texts.len() + 1];
            for event in bits.iter() {
                let number = ids.get(event).copied().unwrap_or_default();
                let Some(slot) = known.get_mut(number as usize) else { continue };
                let peer = *slot.get_or_insert_with(|| self.of_peer(texts.text(number).as_deref()));
                note(&mut here, peer, time_of(event), event);
            }
        } else {
            let events: Vec<usize> = bits.iter().collect();
            let peers = codes(scope, &events, &Field::Peer, zone)?;
            for (at, event) in events.iter().enumerate() {
                for number in peers.of(at) {
                    let peer = self.of_peer(Some(peers.text(number)));
                    note(&mut here, peer, time_of(*event), *event);
                }
            }
        }
        here.iter_mut().for_each(|here| self.meet(here, &mut first));
        Ok(first)
    }

    fn of_peer(&self, peer: Option<&str>) -> Option<usize> {
        self.by_peer.get(&as_compared(peer?)).copied()
    }

    /// What every peer may wish for among events of these times.
    fn here(&self, times: impl Iterator<Item = i64>) -> Vec<Here> {
        let (first, last) =
            times.fold((i64::MAX, i64::MIN), |(a, b), time| (a.min(time), b.max(time)));
        let overlaps = |wish: &usize| {
            let wanted = self.wanted.get(*wish);
            wanted.is_some_and(|one| one.range.overlaps(Timestamp(first), Timestamp(last)))
        };
        let of_peer = |wishes: &Vec<usize>| {
            let wishes: Vec<usize> = wishes.iter().copied().filter(overlaps).collect();
            let since = wishes.iter().filter_map(|wish| self.wanted.get(*wish)).map(begin).min();
            Here { wishes, since: since.unwrap_or(i64::MAX), events: Vec::new() }
        };
        self.peers.iter().map(of_peer).collect()
    }

    /// Finds the first event for each wish of a peer, and those of the same time.
    fn meet(&self, here: &mut Here, first: &mut Firsts) {
        // A few wishes are met by looking at every event.
        let sorted = here.wishes.len() > 8;
        if sorted {
            here.events.sort_unstable();
        }
        for wish in &here.wishes {
            let wanted = self.wanted.get(*wish).map(|one| (one.range, begin(one)));
            let Some(((range, since), slot)) = wanted.zip(first.get_mut(*wish)) else { continue };
            if !sorted {
                let later = here.events.iter().filter(|(time, _)| *time >= since);
                let Some(time) = later.map(|(time, _)| *time).min() else { continue };
                if range.contains(Some(Timestamp(time))) {
                    let same = here.events.iter().filter(|(other, _)| *other == time);
                    *slot = Some((time, same.map(|(_, event)| *event).collect()));
                }
                continue;
            }
            let at = here.events.partition_point(|(time, _)| *time < since);
            let later = here.events.get(at..).unwrap_or_default();
            let Some((time, _)) = later.first() else { continue };
            if range.contains(Some(Timestamp(*time))) {
                let same = later.iter().take_while(|(other, _)| other == time);
                *slot = Some((*time, same.map(|(_, event)| *event).collect()));
            }
        }
    }
}

/// Notes an event of a peer that has wishes.
fn note(here: &mut [Here], peer: Option<usize>, time: Option<i64>, event: usize) {
    let own = peer.and_then(|peer| here.get_mut(peer)).filter(|own| !own.wishes.is_empty());
    if let Some((own, time)) = own.zip(time).filter(|(own, time)| own.since <= *time) {
        own.events.push((time, event));
    }
}

/// When a wish begins.
fn begin(wanted: &WantedPeer) -> i64 {
    wanted.range.since.map_or(i64::MIN, |since| since.0)
}
