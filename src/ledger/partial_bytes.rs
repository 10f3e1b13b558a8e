//! How what the ledgers need of one part of the evidence stands in bytes: texts once, then rows of numbers.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::net::IpAddr;

use crate::event::time::Timestamp;
use crate::ledger::credential::Mint;
use crate::ledger::network::Network;
use crate::ledger::observed::BalancerEvent;
use crate::ledger::observed::NodeEvent;
use crate::ledger::observed::Observed;
use crate::ledger::observed::PodEvent;
use crate::ledger::observed::Source;
use crate::ledger::observed::Step;
use crate::ledger::usage::Use;
use crate::search::evidence::EventId;

/// To be raised whenever other things are gathered or written: what bears another number is
/// gathered again on reading.
const VERSION: u64 = 1;

/// What stood in the bytes.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    /// Uses as the part itself counts them, where it can.
    pub(super) counts: Option<Vec<u8>>,
    pub(super) uses: Vec<Use>,
    pub(super) observed: Observed,
    pub(super) mints: Vec<Mint>,
}

/// Writes it.
pub(super) fn pack(
    counts: Option<&[u8]>,
    uses: &[Use],
    observed: &Observed,
    mints: &[Mint],
) -> Vec<u8> {
    let mut out = Writer::default();
    out.number(u64::from(counts.is_some()));
    out.number(counts.unwrap_or_default().len() as u64);
    out.rows.extend_from_slice(counts.unwrap_or_default());
    out.number(uses.len() as u64);
    for one in uses {
        for text in [Some(one.cluster.as_str()), one.credential.as_deref(), Some(&one.user)] {
            out.text(text.filter(|text| !text.is_empty()));
        }
        for text in [&one.uid, &one.pod, &one.pod_uid, &one.node, &one.peer, &one.agent, &one.log] {
            out.text(text.as_deref());
        }
        out.number(one.events);
        out.time(one.first);
        out.time(one.last);
    }
    out.number(observed.pods.len() as u64);
    observed.pods.iter().for_each(|event| out.pod(event));
    out.number(observed.nodes.len() as u64);
    for event in &observed.nodes {
        out.text(Some(&event.cluster));
        out.text(Some(&event.node));
        out.time(event.time);
        out.number(event.event.0);
        out.list(&event.addresses, |out, address| out.address(*address));
        out.list(&event.subnets, |out, network| out.network(network));
    }
    out.number(observed.balancers.len() as u64);
    for event in &observed.balancers {
        out.text(Some(&event.cluster));
        out.text(Some(&event.service));
        out.address(event.address);
        out.time(event.time);
        out.number(event.event.0);
    }
    out.number(mints.len() as u64);
    for mint in mints {
        for text in [&mint.cluster, &mint.id, &mint.by, &mint.account] {
            out.text(Some(text));
        }
        for text in [&mint.pod, &mint.peer, &mint.with] {
            out.text(text.as_deref());
        }
        out.time(mint.time);
        out.number(mint.event.0);
    }
    out.finish()
}

#[derive(Default)]
struct Writer<'p> {
    rows: Vec<u8>,
    texts: Vec<&'p str>,
    numbers: HashMap<&'p str, u64>,
    /// Times are written as differences to the one before.
    before: i64,
}

impl<'p> Writer<'p> {
    fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.rows.len() * 2);
        put(&mut out, VERSION);
        put(&mut out, self.texts.len() as u64);
        self.texts.iter().for_each(|text| put(&mut out, text.len() as u64));
        self.texts.iter().for_each(|text| out.extend_from_slice(text.as_bytes()));
        out.extend_from_slice(&self.rows);
        out
    }

    fn number(&mut self, number: u64) {
        put(&mut self.rows, number);
    }

    fn text(&mut self, text: Option<&'p str>) {
        let number = match text {
            None => 0,
            Some(text) => *self.numbers.entry(text).or_insert_with(|| {
                self.texts.push(text);
                self.texts.len() as u64
            }),
        };
        put(&mut self.rows, number);
    }

    fn time(&mut self, time: Option<Timestamp>) {
        match time {
            None => put(&mut self.rows, 0),
            Some(Timestamp(time)) => {
                let by = time.wrapping_sub(self.before);
                put(&mut self.rows, 1 + u64::from(by < 0));
                put(&mut self.rows, by.unsigned_abs());
                self.before = time;
            }
        }
    }

    fn list<'l, T: 'l>(
        &mut self,
        list: impl IntoIterator<Item = &'l T, IntoIter: ExactSizeIterator>,
        write: impl Fn(&mut Self, &T),
    ) {
        let list = list.into_iter();
        self.number(list.len() as u64);
        list.for_each(|one| write(self, one));
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => {
                self.rows.push(4);
                self.rows.extend_from_slice(&v4.octets());
            }
            IpAddr::V6(v6) => {
                self.rows.push(6);
                self.rows.extend_from_slice(&v6.octets());
            }
        }
    }

    fn network(&mut self, network: &Network) {
        self.address(network.address);
        self.rows.push(network.prefix);
    }

    fn pod(&mut self, event: &'p PodEvent) {
        for text in [&event.cluster, &event.namespace, &event.name, &event.user] {
            self.text(Some(text));
        }
        for text in [&event.uid, &event.service_account, &event.node] {
            self.text(text.as_deref());
        }
        self.time(Some(event.time));
        self.number(event.event.0);
        let flags = [event.trusted, event.status_write, event.host_network, event.completed];
        let flags =
            flags.iter().enumerate().fold(0, |bits, (at, flag)| bits | u8::from(*flag) << at);
        self.rows.push(flags | (event.step as u8) << 4);
        self.list(&event.addresses, |out, (address, prefix, source)| {
            out.address(*address);
            out.number(prefix.map_or(0, |prefix| u64::from(prefix) + 1));
            out.rows.push(*source as u8);
        });
        self.list(&event.host_addresses, |out, address| out.address(*address));
        self.list(&event.routes, |out, network| out.network(network));
        self.time(event.gone_at);
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads what [`pack`] wrote; `first` makes the events' numbers those of the whole evidence.
/// `None` for anything else: it is then gathered again.
pub(super) fn unpack(bytes: &[u8], first: u64) -> Option<Unpacked> {
    let mut from = Reader { bytes, before: 0, first, texts: Vec::new() };
    if from.number()? != VERSION {
        return None;
    }
    let lengths = from.many(|from| from.number())?;
    for length in lengths {
        let text = from.take(usize::try_from(length).ok()?)?;
        from.texts.push(std::str::from_utf8(text).ok()?.to_owned());
    }
    let counted = from.number()? == 1;
    let length = usize::try_from(from.number()?).ok()?;
    let counts = from.take(length)?;
    let counts = counted.then(|| counts.to_vec());
    let uses = from.many(Reader::one_use)?;
    let pods = from.many(Reader::pod)?;
    let nodes = from.many(Reader::node)?;
    let balancers = from.many(Reader::balancer)?;
    let mints = from.many(Reader::mint)?;
    if !from.bytes.is_empty() {
        return None;
    }
    let observed = Observed { pods, nodes, balancers };
    Some(Unpacked { counts, uses, observed, mints })
}

struct Reader<'b> {
    bytes: &'b [u8],
    before: i64,
    first: u64,
    texts: Vec<String>,
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (head, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        let (head, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*head)
    }

    fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0_u64, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }

    /// A list that says its length; memory is taken for what is there, not for what is said.
    fn many<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let n = usize::try_from(self.number()?).ok()?;
        let mut list = Vec::with_capacity(n.min(self.bytes.len()));
        for _ in 0..n {
            list.push(read(self)?);
        }
        Some(list)
    }

    /// The outer `None` is damage, the inner one stands for no text.
    fn text(&mut self) -> Option<Option<String>> {
        match usize::try_from(self.number()?).ok()?.checked_sub(1) {
            None => Some(None),
            Some(at) => self.texts.get(at).cloned().map(Some),
        }
    }

    fn own(&mut self) -> Option<String> {
        Some(self.text()?.unwrap_or_default())
    }

    fn time(&mut self) -> Option<Option<Timestamp>> {
        let by = match self.number()? {
            0 => return Some(None),
            1 => self.number()? as i64,
            _ => (self.number()? as i64).wrapping_neg(),
        };
        self.before = self.before.wrapping_add(by);
        Some(Some(Timestamp(self.before)))
    }

    fn event(&mut self) -> Option<EventId> {
        Some(EventId(self.first.checked_add(self.number()?)?))
    }

    fn address(&mut self) -> Option<IpAddr> {
        match self.byte()? {
            4 => Some(IpAddr::from(<[u8; 4]>::try_from(self.take(4)?).ok()?)),
            6 => Some(IpAddr::from(<[u8; 16]>::try_from(self.take(16)?).ok()?)),
            _ => None,
        }
    }

    fn network(&mut self) -> Option<Network> {
        Some(Network { address: self.address()?, prefix: self.byte()? })
    }

    fn one_use(&mut self) -> Option<Use> {
        Some(Use {
            cluster: self.own()?,
            credential: self.text()?,
            user: self.own()?,
            uid: self.text()?,
            pod: self.text()?,
            pod_uid: self.text()?,
            node: self.text()?,
            peer: self.text()?,
            agent: self.text()?,
            log: self.text()?,
            events: self.number()?,
            first: self.time()?,
            last: self.time()?,
        })
    }

    fn pod(&mut self) -> Option<PodEvent> {
        let [cluster, namespace, name, user] = [self.own()?, self.own()?, self.own()?, self.own()?];
        let [uid, service_account, node] = [self.text()?, self.text()?, self.text()?];
        let time = self.time()??;
        let event = self.event()?;
        let bits = self.byte()?;
        let flag = |at: u8| bits >> at & 1 == 1;
        let step = match bits >> 4 {
            0 => Step::Create,
            1 => Step::Bind,
            2 => Step::Write,
            3 => Step::Delete,
            4 => Step::Removed,
            _ => return None,
        };
        Some(PodEvent {
            cluster,
            namespace,
            name,
            uid,
            time,
            event,
            step,
            user,
            trusted: flag(0),
            status_write: flag(1),
            service_account,
            node,
            host_network: flag(2),
            addresses: self.many(|from| {
                let address = from.address()?;
                let prefix = match from.number()? {
                    0 => None,
                    prefix => Some(u8::try_from(prefix - 1).ok()?),
                };
                Some((address, prefix, source(from.byte()?)?))
            })?,
            host_addresses: self.many(Reader::address)?,
            routes: self.many(Reader::network)?,
            completed: flag(3),
            gone_at: self.time()?,
        })
    }

    fn node(&mut self) -> Option<NodeEvent> {
        Some(NodeEvent {
            cluster: self.own()?,
            node: self.own()?,
            time: self.time()?,
            event: self.event()?,
            addresses: BTreeSet::from_iter(self.many(Reader::address)?),
            subnets: BTreeSet::from_iter(self.many(Reader::network)?),
        })
    }

    fn balancer(&mut self) -> Option<BalancerEvent> {
        Some(BalancerEvent {
            cluster: self.own()?,
            service: self.own()?,
            address: self.address()?,
            time: self.time()?,
            event: self.event()?,
        })
    }

    fn mint(&mut self) -> Option<Mint> {
        Some(Mint {
            cluster: self.own()?,
            id: self.own()?,
            by: self.own()?,
            account: self.own()?,
            pod: self.text()?,
            peer: self.text()?,
            with: self.text()?,
            time: self.time()?,
            event: self.event()?,
        })
    }
}

fn source(byte: u8) -> Option<Source> {
    let all = [Source::Annotation, Source::Status, Source::Interface, Source::Object, Source::Use];
    all.into_iter().find(|source| *source as u8 == byte)
}
