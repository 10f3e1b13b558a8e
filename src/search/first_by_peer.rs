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
    /// For each peer when each of its wishes begins, and its place among all, in that order.
    peers: Vec<Vec<(i64, usize)>>,
    by_peer: HashMap<String, usize>,
}

/// How far the wishes of one peer were met, while events come in order of time.
#[derive(Clone, Debug, Default)]
struct Cursor {
    /// The next wish that has not begun.
    next: usize,
    /// The time of the last event, and the wishes it was the first event for.
    time: Option<i64>,
    met: Vec<usize>,
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
            if let Some(begins) = own.peers.get_mut(peer) {
                begins.push((one.range.since.map_or(i64::MIN, |since| since.0), at));
            }
        }
        own.peers.iter_mut().for_each(|begins| begins.sort_unstable());
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
        let time_of = |event: usize| times.get(event).copied().unwrap_or(NO_TIME);
        let mut events: Vec<usize> =
            bits.iter().filter(|event| time_of(*event) != NO_TIME).collect();
        if !events.is_sorted_by_key(|event| time_of(*event)) {
            events.sort_by_key(|event| time_of(*event));
        }
        let mut cursors = vec![Cursor::default(); self.peers.len()];
        let columns = if pack.whole()?.is_empty() { origin(pack, &Field::Peer)? } else { None };
        let ids = match &columns {
            Some(columns) => columns.ids(pack)?,
            None => None,
        };
        if let (Some(columns), Some(ids)) = (columns, ids) {
            let texts = columns.texts(pack)?;
            let mut known: Vec<Option<Option<usize>>> = vec![None; texts.len() + 1];
            for event in events {
                let number = ids.get(event).copied().unwrap_or_default();
                let Some(slot) = known.get_mut(number as usize) else { continue };
                let peer = *slot.get_or_insert_with(|| self.of_peer(texts.text(number).as_deref()));
                if let Some(peer) = peer {
                    self.note(&mut first, &mut cursors, peer, (event, time_of(event)));
                }
            }
            return Ok(first);
        }
        let asked: Vec<usize> = bits.iter().collect();
        let peers = codes(scope, &asked, &Field::Peer, zone)?;
        for event in events {
            let Ok(at) = asked.binary_search(&event) else { continue };
            for number in peers.of(at) {
                if let Some(peer) = self.of_peer(Some(peers.text(number))) {
                    self.note(&mut first, &mut cursors, peer, (event, time_of(event)));
                }
            }
        }
        Ok(first)
    }

    fn of_peer(&self, peer: Option<&str>) -> Option<usize> {
        self.by_peer.get(&as_compared(peer?)).copied()
    }

    /// Meets the wishes of a peer that begin at or before this event of its, and were not met: of
    /// each the first event decides, and those of the same time.
    fn note(
        &self,
        first: &mut Firsts,
        cursors: &mut [Cursor],
        peer: usize,
        (event, time): (usize, i64),
    ) {
        let Some((begins, own)) = self.peers.get(peer).zip(cursors.get_mut(peer)) else { return };
        if own.time == Some(time) {
            for wish in &own.met {
                if let Some(Some((_, events))) = first.get_mut(*wish) {
                    events.push(event);
                }
            }
            return;
        }
        own.time = Some(time);
        own.met.clear();
        while let Some((_, wish)) = begins.get(own.next).filter(|(begin, _)| *begin <= time) {
            own.next += 1;
            let wanted = self.wanted.get(*wish);
            if wanted.is_some_and(|one| one.range.contains(Some(Timestamp(time)))) {
                own.met.push(*wish);
                if let Some(slot) = first.get_mut(*wish) {
                    *slot = Some((time, vec![event]));
                }
            }
        }
    }
}
