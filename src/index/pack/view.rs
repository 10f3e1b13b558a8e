//! A pack that is read: columns when they are asked for, events put together again.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crate::event::place::Place;
use crate::event::time::parse_micros_utc;
use crate::index::mmap::MappedFile;
use crate::index::mmap::let_go;
use crate::index::pack::build::N_META;
use crate::index::pack::column::Dict;
use crate::index::pack::column::DictKind;
use crate::index::pack::column::read_dict;
use crate::index::pack::few_events::FewEvents;
use crate::index::pack::filter::WordFilter;
use crate::index::pack::filter::WordSpots;
use crate::index::pack::finish::template_width;
use crate::index::pack::ids::read_ids;
use crate::index::pack::layout::ColumnRow;
use crate::index::pack::layout::Footer;
use crate::index::pack::layout::MAGIC;
use crate::index::pack::layout::NO_FRAME;
use crate::index::pack::layout::NO_SECTION;
use crate::index::pack::layout::TRAILER_LEN;
use crate::index::pack::layout::number;
use crate::index::pack::layout::places;
use crate::index::pack::left_out::About;
use crate::index::pack::left_out::LeftOut;
use crate::index::pack::left_out::PieceRow;
use crate::index::pack::left_out::UNREADABLE;
use crate::index::pack::left_out::read_pieces;
use crate::index::pack::made::Made;
use crate::index::pack::numbers::Numbers;
use crate::index::pack::numbers::from_planes;
use crate::index::pack::place_list::Places;
use crate::index::pack::section::ROOT;
use crate::index::pack::section::SECTIONS;
use crate::index::pack::section::SectionId;
use crate::index::pack::shape::Gap;
use crate::index::pack::shape::Known;
use crate::index::pack::shape::Shape;
use crate::index::pack::shape::ValueKind;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Damage;
use crate::index::pack::wire::Frame;
use crate::index::pack::wire::FrameBytes;
use crate::index::pack::wire::FrameRef;
use crate::index::pack::wire::Short;
use crate::index::pack::wire::read_frame;
use crate::index::pack::wire::unpack;

/// Frames of so many bytes that stand uncompressed are not copied.
const LARGE_FRAME: u32 = 16 << 10;
/// So many things are kept with a pack for others.
const KEPT_MAX: usize = 512;
/// Of fewer events than one in so many identifiers are read where they stand.
const FEW_IN_PLACE: usize = 8;
/// Where the values of an event stand in a column is noted for one event in so many.
const MARK_EVERY: usize = 16;

/// Where most events have their time.
pub(super) const TIME_PATH: &str = "requestReceivedTimestamp";

/// Stands for "this event has no time".
pub const NO_TIME: i64 = i64::MIN;

/// An event's own text and its envelope's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    /// The event's JSON.
    pub event: Vec<u8>,
    /// The envelope's, where there is one beside the event.
    pub envelope: Option<Vec<u8>>,
}

/// Which templates of a section hold which columns.
#[derive(Debug, Default)]
pub struct Links {
    /// Column of each value gap of each template, by its place in the directory.
    pub gap_columns: Vec<Vec<u32>>,
    /// For each column: the templates (by number plus one, ascending) that hold it, and how often.
    ///
    /// Most columns of bodies stand in one template of many hundreds.
    holders: Vec<Vec<(u32, u32)>>,
    n_templates: usize,
    /// Paths at which some template has `true` or `false`.
    pub literal_paths: HashSet<String>,
}

impl Links {
    fn new(n_columns: usize, n_templates: usize) -> Links {
        Links { holders: vec![Vec::new(); n_columns], n_templates, ..Links::default() }
    }

    /// Adds the next template.
    fn add(&mut self, columns: Vec<u32>) {
        let number = self.gap_columns.len() as u32 + 1;
        for column in &columns {
            let Some(holders) = self.holders.get_mut(*column as usize) else { continue };
            match holders.last_mut() {
                Some((last, count)) if *last == number => *count += 1,
                _ => holders.push((number, 1)),
            }
        }
        self.gap_columns.push(columns);
    }

    /// Returns how many columns there are.
    pub fn n_columns(&self) -> usize {
        self.holders.len()
    }

    /// Returns how often each template (by number plus one) holds a column.
    pub(super) fn counts(&self, column: u32) -> Result<Vec<u32>> {
        let holders = self.holders.get(column as usize).ok_or(Short)?;
        let mut counts = vec![0; self.n_templates + 1];
        for (template, count) in holders {
            if let Some(slot) = counts.get_mut(*template as usize) {
                *slot = *count;
            }
        }
        Ok(counts)
    }

    /// Returns the templates (by number plus one, ascending) that hold a column, and how often.
    pub(super) fn holders(&self, column: u32) -> &[(u32, u32)] {
        self.holders.get(column as usize).map(Vec::as_slice).unwrap_or_default()
    }

    /// Says whether every template holds a column exactly once.
    fn one_each(&self, column: u32) -> Result<bool> {
        let holders = self.holders.get(column as usize).ok_or(Short)?;
        Ok(holders.len() == self.n_templates && holders.iter().all(|(_, count)| *count == 1))
    }
}

/// Skeletons of one section, taken apart.
#[derive(Debug, Default)]
pub struct Shapes {
    /// The text of all skeletons.
    pub(super) text: Vec<u8>,
    /// Range of each in `text`, and its shape.
    pub templates: Vec<(std::ops::Range<usize>, Shape)>,
    /// Their columns.
    pub links: Arc<Links>,
    /// Every different key of the section.
    pub keys: Vec<String>,
    /// For each template: its keys, by their place in `keys`.
    pub keys_of: Vec<Vec<u32>>,
}

/// The columns of one section.
#[derive(Debug, Default)]
pub struct Directory {
    /// All rows.
    pub rows: Vec<ColumnRow>,
    /// Their numbers in the order of their paths.
    by_path: Vec<u32>,
}

impl Directory {
    /// Returns the bytes it takes in memory, about.
    fn memory(&self) -> usize {
        self.rows.len() * 160
    }

    /// Returns the columns at a joined path.
    pub fn at(&self, path: &str) -> &[u32] {
        let path_of = |at: &u32| self.rows.get(*at as usize).map(|row| row.path.as_str());
        let start = self.by_path.partition_point(|at| path_of(at) < Some(path));
        let own = self.by_path.get(start..).unwrap_or_default();
        let end = own.iter().take_while(|at| path_of(at) == Some(path)).count();
        own.get(..end).unwrap_or_default()
    }
}

/// One small fact per event.
#[derive(Debug, Default)]
pub struct MetaColumn {
    /// The different values.
    pub values: Vec<Vec<u8>>,
    /// Value of each event; empty where all have the first.
    ids: Vec<u32>,
}

impl MetaColumn {
    /// Returns the number of the value of an event.
    pub fn id(&self, event: usize) -> u32 {
        self.ids.get(event).copied().unwrap_or_default()
    }

    /// Returns the value of an event.
    pub fn value(&self, event: usize) -> &[u8] {
        self.values.get(self.id(event) as usize).map(Vec::as_slice).unwrap_or_default()
    }
}

/// What stands around an event in its record.
#[derive(Debug)]
pub enum Around {
    /// The event is the record.
    Nothing,
    /// This before it and that behind it.
    Little(Vec<u8>, Vec<u8>),
    /// The record is one of these texts.
    Text(Arc<Vec<Vec<u8>>>, usize),
}

#[derive(Debug, Default)]
struct Cache {
    shapes: HashMap<u8, Arc<Shapes>>,
    links: HashMap<u8, Arc<Links>>,
    directories: HashMap<u8, Arc<Directory>>,
    templates: HashMap<u8, Arc<Numbers>>,
    dicts: HashMap<(u8, u32), Arc<Dict>>,
    ids: HashMap<(u8, u32), Arc<Numbers>>,
    frames: HashMap<u32, Arc<Frame>>,
    places: Option<Arc<Places>>,
    times: Option<Arc<Vec<i64>>>,
    meta: Option<Arc<[MetaColumn; N_META]>>,
    whole: Option<Arc<Vec<(u32, Texts)>>>,
    raw_of: Option<Arc<Vec<u32>>>,
    raws: Option<Arc<Vec<Vec<u8>>>>,
    filter_checked: bool,
    /// Frames that stand uncompressed in the pack and are what was written.
    sums_checked: HashSet<u32>,
    marks: HashMap<(u8, u32), Arc<Vec<u32>>>,
    /// For the last few events asked for.
    few: HashMap<u8, Arc<FewEvents>>,
    plain_addresses: Option<bool>,
    kept: HashMap<Arc<str>, Arc<dyn std::any::Any + Send + Sync>>,
    kept_bytes: usize,
}

/// Bytes of decoded columns kept by all packs of the process together.
static CACHED_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Returns how many bytes of decoded columns are kept.
pub fn cached_bytes() -> usize {
    CACHED_BYTES.load(Ordering::Relaxed)
}

/// Where the bytes of a pack are.
#[derive(Debug)]
enum Bytes {
    /// In a mapped file, from here to there.
    Mapped(Arc<MappedFile>, std::ops::Range<usize>),
    /// In memory: the pack was just made.
    Made(Vec<u8>),
}

impl Bytes {
    fn get(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map, range) => map.get(range.clone()).unwrap_or_default(),
            Bytes::Made(bytes) => bytes,
        }
    }
}

pub(super) const NO_JSON: Damage = Damage { offset: 0, what: "a skeleton is no JSON" };

/// Finds `n` skeletons in their frame.
pub(super) fn skeletons_in(frame: &[u8], n: usize) -> std::result::Result<Vec<&[u8]>, Short> {
    let mut cursor = Cursor::new(frame);
    let lens: Vec<usize> =
        (0..n).map(|_| cursor.get_len(frame.len())).collect::<std::result::Result<_, _>>()?;
    lens.into_iter().map(|len| cursor.take(len)).collect()
}

/// An open pack.
#[derive(Debug)]
pub struct Pack {
    bytes: Bytes,
    /// Skeletons of a pack that was just made, taken apart already.
    made: Option<Made>,
    /// What the footer says.
    pub footer: Footer,
    /// Checksum of the footer: tells packs apart.
    pub sum: u64,
    cache: Mutex<Cache>,
    held: AtomicUsize,
    /// Whether frames were read since mapped pages were let go of.
    read: AtomicBool,
    /// Makes frames again that the pack leaves out.
    left_out: Option<Arc<dyn LeftOut>>,
    /// Whether no second question is expected.
    once: bool,
    /// Whether columns of many packs are to be held at a time.
    sparing: bool,
    /// Why it could not, the last time.
    why: Mutex<Option<String>>,
}

impl From<Short> for Damage {
    fn from(_: Short) -> Damage {
        Damage { offset: 0, what: "a frame does not decode" }
    }
}

type Result<T> = std::result::Result<T, Damage>;

impl Drop for Pack {
    fn drop(&mut self) {
        // What a closed index kept does not count against those that are open.
        CACHED_BYTES.fetch_sub(self.held.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Pack {
    /// Opens the pack at `range` of a mapped file.
    ///
    /// # Errors
    /// When trailer or footer are not what was written.
    pub fn open(map: Arc<MappedFile>, range: std::ops::Range<usize>) -> Result<Pack> {
        if map.len() < range.end {
            return Err(Damage { offset: 0, what: "the file is too short" });
        }
        Pack::of_bytes(Bytes::Mapped(map, range), None)
    }

    /// Opens a pack that was just made.
    pub(super) fn of_made(bytes: Vec<u8>, made: Made) -> Result<Pack> {
        Pack::of_bytes(Bytes::Made(bytes), Some(made))
    }

    /// Gives the bytes of a pack that was just made back, without its footer.
    pub(super) fn into_made(mut self) -> Option<(Vec<u8>, Made)> {
        self.forget();
        let Bytes::Made(bytes) = &mut self.bytes else { return None };
        let mut bytes = std::mem::take(bytes);
        let trailer = bytes.len().checked_sub(TRAILER_LEN)?;
        let offset = bytes.get(trailer..trailer + 8)?.try_into().ok().map(u64::from_le_bytes)?;
        bytes.truncate(usize::try_from(offset).ok()?);
        Some((bytes, self.made.take()?))
    }

    fn of_bytes(own: Bytes, made: Option<Made>) -> Result<Pack> {
        let damage = |what| Damage { offset: 0, what };
        let bytes = own.get();
        let trailer = bytes
            .len()
            .checked_sub(TRAILER_LEN)
            .and_then(|at| bytes.get(at..))
            .ok_or_else(|| damage("no trailer"))?;
        if !trailer.ends_with(MAGIC) {
            return Err(damage("no magic number at the end of a pack"));
        }
        let word = |at: usize, len: usize| -> u64 {
            let mut out = [0_u8; 8];
            for (slot, byte) in out.iter_mut().zip(trailer.get(at..at + len).unwrap_or_default()) {
                *slot = *byte;
            }
            u64::from_le_bytes(out)
        };
        let frame = FrameRef {
            offset: word(0, 8),
            stored: word(8, 4) as u32,
            plain: word(12, 4) as u32,
            sum: word(16, 8),
        };
        let footer = Footer::get(&read_frame(bytes, &frame)?)?;
        Ok(Pack {
            bytes: own,
            made,
            footer,
            sum: frame.sum,
            cache: Mutex::default(),
            held: AtomicUsize::new(0),
            read: AtomicBool::new(true),
            left_out: None,
            once: false,
            sparing: false,
            why: Mutex::default(),
        })
    }

    /// Names who makes frames again that the pack leaves out.
    #[must_use]
    pub fn with_left_out(mut self, left_out: Arc<dyn LeftOut>) -> Pack {
        self.left_out = Some(left_out);
        self
    }

    /// Expects one question only, so that little is kept.
    #[must_use]
    pub fn for_one_question(mut self, once: bool) -> Pack {
        self.once = once;
        self
    }

    /// Holds as little as is of use to further questions: columns of many packs are kept.
    #[must_use]
    pub fn keeping_little(mut self, sparing: bool) -> Pack {
        self.sparing = sparing;
        self
    }

    /// Says whether so few events are asked about that no column of identifiers is decoded for
    /// them where it stands uncompressed in the pack and little is to be held.
    ///
    /// # Errors
    /// On damage.
    pub fn reads_in_place(&self, section: SectionId, column: u32, n_events: usize) -> Result<bool> {
        if !self.sparing || n_events.saturating_mul(FEW_IN_PLACE) > self.len() {
            return Ok(false);
        }
        let directory = self.directory(section)?;
        let row = directory.rows.get(column as usize).ok_or(Short)?;
        let frame = self.footer.frames.get(row.dict.0 as usize).ok_or(Short)?;
        Ok(row.meta.kind == DictKind::Uuid && frame.stored == frame.plain)
    }

    /// Says whether no second question is expected.
    pub fn expects_one_question(&self) -> bool {
        self.once
    }

    /// Lets go of what was decoded for a question that was the only one.
    pub fn end_question(&self) {
        if self.once {
            self.forget_columns();
        }
    }

    /// Says whether the pack leaves lines in their sources.
    pub fn refers(&self) -> bool {
        self.footer.pieces != NO_FRAME
    }

    /// Returns the runs of bytes the events stand in; none where nothing is left out.
    ///
    /// # Errors
    /// On damage.
    pub fn pieces(&self) -> Result<Vec<PieceRow>> {
        if self.refers() { Ok(read_pieces(&self.frame(self.footer.pieces)?)?) } else { Ok(vec![]) }
    }

    /// Says why lines that were left in their source could not be read, the last time.
    pub fn why_left_out(&self) -> String {
        let why = self.why.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        why.clone().unwrap_or_else(|| UNREADABLE.to_owned())
    }

    /// Says what the frames that are left out are made of.
    fn about(&self) -> Result<About> {
        let frames = (0_u32..).zip(&self.footer.frames);
        let left_out = frames.filter(|(_, f)| f.is_left_out()).map(|(number, f)| (number, *f));
        let frames = left_out.collect();
        Ok(About { pieces: self.pieces()?, places: self.places()?, times: self.times()?, frames })
    }

    /// Returns a frame that is made again from the lines of the pack.
    fn left_out_frame(&self, number: u32, frame: &FrameRef) -> Result<Vec<u8>> {
        let made = match &self.left_out {
            Some(left_out) => left_out.frames(self.sum, &|| self.about()),
            None => Err(UNREADABLE.to_owned()),
        };
        match made {
            Ok(made) => match made.get(&number).filter(|plain| frame.fits(plain)) {
                Some(plain) => Ok(plain.clone()),
                None => Err(Damage {
                    offset: 0,
                    what: "a frame that was left out comes out differently",
                }),
            },
            Err(why) => {
                *self.why.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(why);
                Err(Damage { offset: 0, what: UNREADABLE })
            }
        }
    }

    /// Returns the number of events.
    pub fn len(&self) -> usize {
        self.footer.n_events as usize
    }

    /// Says whether the pack has no events.
    pub fn is_empty(&self) -> bool {
        self.footer.n_events == 0
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get()
    }

    /// Lets go of frames of which columns were decoded, and of the mapped pages they were read from.
    pub fn forget_frames(&self) {
        if let Bytes::Mapped(map, range) = &self.bytes
            && self.read.swap(false, Ordering::Relaxed)
        {
            let_go(map, range.clone());
        }
        let frames = std::mem::take(&mut self.lock().frames);
        let bytes: usize = frames.values().map(|frame| frame.len()).sum();
        let held = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            Some(held.saturating_sub(bytes))
        });
        if held.is_ok_and(|held| held >= bytes) {
            CACHED_BYTES.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Lets go of everything decoded.
    pub fn forget(&self) {
        let mut cache = self.lock();
        // Mapped bytes that were found whole stay so.
        let (filter_checked, sums_checked) =
            (cache.filter_checked, std::mem::take(&mut cache.sums_checked));
        *cache = Cache { filter_checked, sums_checked, ..Cache::default() };
        drop(cache);
        CACHED_BYTES.fetch_sub(self.held.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The same, but for what little whoever shows hits needs again: the times, what the event's
    /// own fields are called and which of them each event has.
    fn forget_columns(&self) {
        let mut cache = self.lock();
        let times = cache.times.take();
        let directories = std::mem::take(&mut cache.directories);
        let links = std::mem::take(&mut cache.links);
        let root = cache.templates.remove_entry(&ROOT.0);
        drop(cache);
        self.forget();
        let bytes = times.as_ref().map_or(0, |times| times.len() * 8)
            + root.as_ref().map_or(0, |(_, templates)| templates.memory())
            + directories.values().map(|directory| directory.memory()).sum::<usize>();
        let mut cache = self.lock();
        (cache.times, cache.directories, cache.links) = (times, directories, links);
        cache.templates.extend(root);
        drop(cache);
        self.hold(bytes);
    }

    /// Returns what lies between the events of a section that were asked for last.
    pub(super) fn last_few_events(&self, section: SectionId) -> Option<Arc<FewEvents>> {
        self.lock().few.get(&section.0).cloned()
    }

    /// Keeps it.
    pub(super) fn keep_few_events(&self, section: SectionId, few: Arc<FewEvents>) {
        self.lock().few.insert(section.0, few);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        CACHED_BYTES.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns a cached value or makes it; made outside the lock, so that a thread never waits for
    /// another one's decompression (two may do the same work once).
    fn cached<T>(
        &self,
        get: impl Fn(&Cache) -> Option<Arc<T>>,
        make: impl FnOnce() -> Result<(T, usize)>,
        put: impl FnOnce(&mut Cache, Arc<T>),
    ) -> Result<Arc<T>> {
        if let Some(found) = get(&self.lock()) {
            return Ok(found);
        }
        let (made, size) = make()?;
        let made = Arc::new(made);
        let mut cache = self.lock();
        if let Some(found) = get(&cache) {
            return Ok(found);
        }
        put(&mut cache, Arc::clone(&made));
        drop(cache);
        self.hold(size);
        Ok(made)
    }

    /// Decompresses frame `number`.
    ///
    /// # Errors
    /// When the stored bytes are not what was written.
    pub fn frame(&self, number: u32) -> Result<Frame> {
        let frame = self
            .footer
            .frames
            .get(number as usize)
            .ok_or(Damage { offset: 0, what: "a frame that is not there" })?;
        if frame.is_left_out() {
            return self.left_out_frame(number, frame).map(Frame::from);
        }
        if let (true, Bytes::Mapped(file, range)) = (self.once, &self.bytes) {
            let len = frame.stored as usize;
            let start = usize::try_from(frame.offset).unwrap_or(usize::MAX);
            if start.saturating_add(len) > range.len() {
                return Err(Damage { offset: frame.offset, what: "the file ends inside a frame" });
            }
            let start = range.start + start;
            let stored = Frame::filled(len, |out| file.read(start..start + len, out));
            let unread = |_| Damage { offset: frame.offset, what: "the file cannot be read" };
            return unpack(&stored.map_err(unread)?, frame);
        }
        self.read.store(true, Ordering::Relaxed);
        read_frame(self.bytes(), frame)
    }

    /// Returns a frame that several columns share, keeping it while they are decoded.
    fn shared_frame(&self, number: u32) -> Result<Arc<Frame>> {
        self.cached(
            |cache| cache.frames.get(&number).cloned(),
            || {
                self.frame(number).map(|frame| {
                    let len = frame.len();
                    (frame, len)
                })
            },
            |cache, frame| {
                cache.frames.insert(number, frame);
            },
        )
    }

    /// Returns a frame where it stands if it is not compressed, and not so small that reading it is
    /// less than mapping it, else as [`Self::shared_frame`].
    pub(super) fn frame_bytes(&self, number: u32) -> Result<FrameBytes<'_>> {
        let frame = self.footer.frames.get(number as usize).ok_or(Short)?;
        if frame.stored != frame.plain || (self.once && frame.stored < LARGE_FRAME) {
            return self.shared_frame(number).map(FrameBytes::Decoded);
        }
        self.frame_in_place(number, frame).map(FrameBytes::Stored)
    }

    /// Returns a frame that is not compressed where it stands, after checking its sum once.
    fn frame_in_place(&self, number: u32, frame: &FrameRef) -> Result<&[u8]> {
        let damage = |what| Damage { offset: frame.offset, what };
        if frame.stored != frame.plain {
            return Err(damage("a frame is compressed that is read where it stands"));
        }
        let start = usize::try_from(frame.offset).unwrap_or(usize::MAX);
        let bytes = self.bytes().get(start..start.saturating_add(frame.stored as usize));
        let bytes = bytes.ok_or_else(|| damage("the file ends inside a frame"))?;
        if !self.lock().sums_checked.contains(&number) {
            if xxhash_rust::xxh3::xxh3_64(bytes) != frame.sum {
                return Err(damage("checksum mismatch"));
            }
            self.lock().sums_checked.insert(number);
        }
        Ok(bytes)
    }

    /// Returns the filter, after checking its sum once.
    ///
    /// # Errors
    /// When its bytes are not what was written.
    pub fn filter(&self) -> Result<WordFilter<'_>> {
        let (filter, whole) = self.filter_bytes()?;
        if !self.lock().filter_checked {
            if xxhash_rust::xxh3::xxh3_64(whole) != self.footer.filter_sum {
                return Err(Damage {
                    offset: self.footer.filter_offset,
                    what: "the filter is damaged",
                });
            }
            self.lock().filter_checked = true;
        }
        Ok(filter)
    }

    /// Says whether the pack may hold what is looked for; a yes of a damaged filter costs time
    /// only, a no is relied upon, so that the sum is checked before one is given.
    ///
    /// # Errors
    /// When the bytes of the filter are not what was written.
    pub fn may_hold(&self, looked_for: impl Fn(&WordFilter<'_>) -> bool) -> Result<bool> {
        Ok(looked_for(&self.filter_bytes()?.0) || looked_for(&self.filter()?))
    }

    fn filter_bytes(&self) -> Result<(WordFilter<'_>, &[u8])> {
        let start = self.footer.filter_offset as usize;
        let middle = start.saturating_add(self.footer.filter_descriptor as usize);
        let end = middle.saturating_add(self.footer.filter_fingerprints as usize);
        let damage = || Damage { offset: self.footer.filter_offset, what: "the filter is damaged" };
        let bytes = self.bytes();
        let descriptor = bytes.get(start..middle).ok_or_else(damage)?;
        let fingerprints = bytes.get(middle..end).ok_or_else(damage)?;
        let whole = bytes.get(start..end).ok_or_else(damage)?;
        Ok((WordFilter::new(descriptor, fingerprints), whole))
    }

    /// Returns in which column a word can stand; `None` for packs from before that was noted.
    ///
    /// # Errors
    /// On damage.
    pub fn word_spots(&self) -> Result<Option<WordSpots<'_>>> {
        if self.footer.spots == NO_FRAME {
            return Ok(None);
        }
        let number = self.footer.spots;
        let frame = self.footer.frames.get(number as usize).ok_or(Short)?;
        Ok(Some(WordSpots::new(self.frame_in_place(number, frame)?)?))
    }

    /// Returns, for each event, the number plus one of its template in `section`; 0 for absent.
    ///
    /// # Errors
    /// On damage.
    pub fn templates(&self, section: SectionId) -> Result<Arc<Numbers>> {
        self.cached(
            |cache| cache.templates.get(&section.0).cloned(),
            || {
                let ids = self.read_templates(section)?;
                let size = ids.memory();
                Ok((ids, size))
            },
            |cache, made| {
                cache.templates.insert(section.0, made);
            },
        )
    }

    /// The same for who looks at few events: it is not kept.
    pub(super) fn templates_unkept(&self, section: SectionId) -> Result<Arc<Numbers>> {
        let kept = self.lock().templates.get(&section.0).cloned();
        kept.map_or_else(|| self.read_templates(section).map(Arc::new), Ok)
    }

    fn read_templates(&self, section: SectionId) -> Result<Numbers> {
        let n = self.len();
        let frames = self.section(section);
        if frames.n_templates == 0 {
            return Ok(Numbers::Zeros(n));
        }
        let bytes = self.frame(frames.templates)?;
        if bytes.len() != n * template_width(frames.n_templates) {
            return Err(Short.into());
        }
        Ok(from_planes(&bytes, n, frames.n_templates).ok_or(Short)?)
    }

    fn section(&self, section: SectionId) -> crate::index::pack::layout::SectionFrames {
        self.footer.sections.get(section.0 as usize).copied().unwrap_or(NO_SECTION)
    }

    /// Says whether any event has the part.
    pub fn has_section(&self, section: SectionId) -> bool {
        self.section(section).n_templates > 0
    }

    /// Returns the columns of a section.
    ///
    /// # Errors
    /// On damage.
    pub fn directory(&self, section: SectionId) -> Result<Arc<Directory>> {
        self.cached(
            |cache| cache.directories.get(&section.0).cloned(),
            || {
                let mut directory = Directory::default();
                let frames = self.section(section);
                if frames.n_templates > 0 {
                    let bytes = self.frame(frames.directory)?;
                    let base = SECTIONS.get(section.0 as usize).and_then(|s| s.path);
                    let mut cursor = Cursor::new(&bytes);
                    let n = cursor.get_len(bytes.len())?;
                    directory.rows.reserve_exact(n);
                    for _ in 0..n {
                        let row = ColumnRow::get(base.unwrap_or_default(), &mut cursor)?;
                        directory.rows.push(row);
                    }
                    directory.by_path = (0..n as u32).collect();
                    let rows = &directory.rows;
                    let path_of = |at: &u32| rows.get(*at as usize).map(|row| row.path.as_str());
                    directory.by_path.sort_by(|a, b| path_of(a).cmp(&path_of(b)));
                }
                let size = directory.memory();
                Ok((directory, size))
            },
            |cache, made| {
                cache.directories.insert(section.0, made);
            },
        )
    }

    /// Returns the text of all skeletons of a section, not taken apart; `None` where they were
    /// taken apart already, so that asking them costs nothing.
    ///
    /// # Errors
    /// On damage.
    pub fn skeleton_text(&self, section: SectionId) -> Result<Option<Vec<u8>>> {
        let frames = self.section(section);
        if frames.n_templates == 0 || self.lock().shapes.contains_key(&section.0) {
            return Ok(None);
        }
        let bytes = self.frame(frames.skeletons)?;
        let mut cursor = Cursor::new(&bytes);
        let mut length = 0_usize;
        for _ in 0..frames.n_templates {
            length = length.saturating_add(cursor.get_len(bytes.len())?);
        }
        Ok(Some(cursor.take(length)?.to_vec()))
    }

    /// Returns the frame of all skeletons of a section; see [`skeletons_in`].
    ///
    /// # Errors
    /// On damage.
    pub(super) fn skeleton_frame(&self, section: SectionId) -> Result<Frame> {
        self.frame(self.section(section).skeletons)
    }

    /// Says whether what the skeletons of a section hold shows only when they are taken apart, and
    /// they were not.
    pub(super) fn has_unlinked(&self, section: SectionId) -> bool {
        self.made.is_none()
            && self.section(section).links == 0
            && !self.lock().shapes.contains_key(&section.0)
    }

    /// Returns how many templates a section has.
    pub fn n_templates(&self, section: SectionId) -> usize {
        self.section(section).n_templates as usize
    }

    /// Returns the skeletons of a section, taken apart and linked to their columns.
    ///
    /// # Errors
    /// On damage.
    pub fn shapes(&self, section: SectionId) -> Result<Arc<Shapes>> {
        self.cached(
            |cache| cache.shapes.get(&section.0).cloned(),
            || self.read_shapes(section),
            |cache, made| {
                cache.shapes.insert(section.0, made);
            },
        )
    }

    fn read_shapes(&self, section: SectionId) -> Result<(Shapes, usize)> {
        let frames = self.section(section);
        let mut shapes = Shapes::default();
        if frames.n_templates == 0 {
            return Ok((shapes, 0));
        }
        let bytes = self.frame(frames.skeletons)?;
        let n = frames.n_templates as usize;
        let directory = self.directory(section)?;
        let mut links = Links::new(directory.rows.len(), n);
        let base = SECTIONS.get(section.0 as usize).and_then(|s| s.path);
        let mut made = self.made.as_ref().map(|made| made.shapes(section));
        let mut key_numbers: HashMap<String, u32> = HashMap::new();
        let mut paths: HashSet<Arc<str>> = HashSet::new();
        for skeleton in skeletons_in(&bytes, n)? {
            let mut shape = match made.as_mut().and_then(Iterator::next) {
                Some(shape) => shape.clone(),
                None => Shape::of(skeleton, section, base).map_err(|_| NO_JSON)?,
            };
            links.add(gap_columns(&shape, &directory)?);
            for path in shape.literal_paths() {
                if !links.literal_paths.contains(path) {
                    links.literal_paths.insert(path.to_owned());
                }
            }
            let mut own: Vec<u32> = Vec::with_capacity(shape.keys.len());
            for key in &shape.keys {
                let at = match key_numbers.get(key) {
                    Some(at) => *at,
                    None => {
                        let at = shapes.keys.len() as u32;
                        key_numbers.insert(key.clone(), at);
                        shapes.keys.push(key.clone());
                        at
                    }
                };
                own.push(at);
            }
            own.sort_unstable();
            own.dedup();
            shapes.keys_of.push(own);
            if self.sparing {
                shape.shrink(&mut paths);
            }
            let start = shapes.text.len();
            shapes.text.extend_from_slice(skeleton);
            shapes.templates.push((start..shapes.text.len(), shape));
        }
        shapes.links = Arc::new(links);
        let size = shapes.text.len() * 8;
        Ok((shapes, size))
    }

    /// Returns which templates of a section hold which columns.
    ///
    /// # Errors
    /// On damage.
    pub fn links(&self, section: SectionId) -> Result<Arc<Links>> {
        if let Some(links) = self.lock().links.get(&section.0).cloned() {
            return Ok(links);
        }
        let frames = self.section(section);
        let links = match frames.links.checked_sub(1) {
            _ if self.made.is_some() => Arc::new(self.made_links(section)?),
            Some(frame) if frames.n_templates > 0 => Arc::new(self.read_links(section, frame)?),
            _ => Arc::clone(&self.shapes(section)?.links),
        };
        self.lock().links.insert(section.0, Arc::clone(&links));
        Ok(links)
    }

    fn made_links(&self, section: SectionId) -> Result<Links> {
        let n_columns = self.directory(section)?.rows.len();
        let mut links = Links::new(n_columns, self.section(section).n_templates as usize);
        for made in self.made.iter() {
            for columns in made.columns(section) {
                links.add(columns);
            }
            for path in made.shapes(section).flat_map(Shape::literal_paths) {
                if !links.literal_paths.contains(path) {
                    links.literal_paths.insert(path.to_owned());
                }
            }
        }
        Ok(links)
    }

    fn read_links(&self, section: SectionId, frame: u32) -> Result<Links> {
        let n = self.section(section).n_templates as usize;
        let directory = self.directory(section)?;
        let bytes = self.frame(frame)?;
        let mut cursor = Cursor::new(&bytes);
        let mut links = Links::new(directory.rows.len(), n);
        for _ in 0..n {
            let gaps = cursor.get_len(bytes.len())?;
            let columns = (0..gaps)
                .map(|_| number(&mut cursor))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            links.add(columns);
        }
        for _ in 0..cursor.get_len(bytes.len())? {
            let path = std::str::from_utf8(cursor.get_bytes()?).map_err(|_| Short)?;
            links.literal_paths.insert(path.to_owned());
        }
        Ok(links)
    }

    /// Returns the different values of a column.
    ///
    /// # Errors
    /// On damage.
    pub fn dict(&self, section: SectionId, column: u32) -> Result<Arc<Dict>> {
        self.cached(
            |cache| cache.dicts.get(&(section.0, column)).cloned(),
            || {
                let directory = self.directory(section)?;
                let row = directory.rows.get(column as usize).ok_or(Short)?;
                let frame = self.shared_frame(row.dict.0)?;
                let dict = read_dict(&row.meta, row.dict_bytes(&frame)?)?;
                let size = dict.memory();
                Ok((dict, size))
            },
            |cache, made| {
                cache.dicts.insert((section.0, column), made);
            },
        )
    }

    /// The same for who keeps what it says in another form: it is not kept.
    ///
    /// # Errors
    /// On damage.
    pub fn dict_unkept(&self, section: SectionId, column: u32) -> Result<Arc<Dict>> {
        if let Some(kept) = self.lock().dicts.get(&(section.0, column)).cloned() {
            return Ok(kept);
        }
        let directory = self.directory(section)?;
        let row = directory.rows.get(column as usize).ok_or(Short)?;
        let frame = self.shared_frame(row.dict.0)?;
        Ok(Arc::new(read_dict(&row.meta, row.dict_bytes(&frame)?)?))
    }

    /// Returns a frame of dictionaries; kept where more questions are expected.
    ///
    /// # Errors
    /// On damage.
    pub fn dict_frame(&self, number: u32) -> Result<Arc<Frame>> {
        if !self.once {
            return self.shared_frame(number);
        }
        let kept = self.lock().frames.get(&number).cloned();
        kept.map_or_else(|| self.frame(number).map(Arc::new), Ok)
    }

    /// Returns the different values of a column, whose dictionary stands in `frame`.
    ///
    /// # Errors
    /// On damage.
    pub fn dict_in(&self, section: SectionId, column: u32, frame: &[u8]) -> Result<Arc<Dict>> {
        let row = self.directory(section)?.rows.get(column as usize).map(|row| row.meta);
        if let Some(meta) = row.filter(|meta| meta.kind != DictKind::Text) {
            // Numbers and times are large, soon read again, and hardly ever asked for by a word.
            let kept = self.lock().dicts.get(&(section.0, column)).cloned();
            if let Some(kept) = kept {
                return Ok(kept);
            }
            let directory = self.directory(section)?;
            let row = directory.rows.get(column as usize).ok_or(Short)?;
            return Ok(Arc::new(read_dict(&meta, row.dict_bytes(frame)?)?));
        }
        self.cached(
            |cache| cache.dicts.get(&(section.0, column)).cloned(),
            || {
                let directory = self.directory(section)?;
                let row = directory.rows.get(column as usize).ok_or(Short)?;
                let dict = read_dict(&row.meta, row.dict_bytes(frame)?)?;
                let size = dict.memory();
                Ok((dict, size))
            },
            |cache, made| {
                cache.dicts.insert((section.0, column), made);
            },
        )
    }

    /// Returns the numbers of a column.
    ///
    /// # Errors
    /// On damage.
    pub fn ids(&self, section: SectionId, column: u32) -> Result<Arc<Numbers>> {
        self.cached(
            |cache| cache.ids.get(&(section.0, column)).cloned(),
            || {
                let ids = self.decoded_ids(section, column)?;
                let size = ids.memory();
                Ok((ids, size))
            },
            |cache, made| {
                cache.ids.insert((section.0, column), made);
            },
        )
    }

    fn decoded_ids(&self, section: SectionId, column: u32) -> Result<Numbers> {
        let directory = self.directory(section)?;
        let row = directory.rows.get(column as usize).ok_or(Short)?;
        let bytes: Arc<Frame> =
            if row.meta.ids_len == 0 { Arc::default() } else { self.shared_frame(row.ids.0)? };
        let start = if row.meta.ids_len == 0 { 0 } else { row.ids.1 as usize };
        let bytes = bytes.get(start..start + row.meta.ids_len as usize).ok_or(Short)?;
        Ok(read_ids(&row.meta, bytes)?)
    }

    /// Returns where each event stands.
    ///
    /// # Errors
    /// On damage.
    pub fn places(&self) -> Result<Arc<Places>> {
        self.cached(
            |cache| cache.places.clone(),
            || {
                let places = Places::read(&self.frame(self.footer.places)?, self.len())?;
                let size = places.memory();
                Ok((places, size))
            },
            |cache, made| cache.places = Some(made),
        )
    }

    /// Returns where some events (ascending) stand; nothing of the others is kept.
    ///
    /// # Errors
    /// On damage.
    pub fn places_of(&self, events: &[u32]) -> Result<Vec<Place>> {
        if let Some(places) = self.lock().places.clone() {
            let place = |event: &u32| places.get(*event as usize).ok_or(Short);
            return Ok(events.iter().map(place).collect::<std::result::Result<_, _>>()?);
        }
        Ok(places::read_some(&self.frame(self.footer.places)?, self.len(), events)?)
    }

    /// Returns the time of each event in microseconds, [`NO_TIME`] where it has none.
    ///
    /// # Errors
    /// On damage.
    pub fn times(&self) -> Result<Arc<Vec<i64>>> {
        self.cached(
            |cache| cache.times.clone(),
            || Ok((self.read_times()?, self.len() * 8)),
            |cache, made| cache.times = Some(made),
        )
    }

    fn read_times(&self) -> Result<Vec<i64>> {
        let mut times = vec![NO_TIME; self.len()];
        let root = crate::index::pack::section::ROOT;
        let directory = self.directory(root)?;
        for column in directory.at(TIME_PATH) {
            let is_string = directory
                .rows
                .get(*column as usize)
                .is_some_and(|row| row.kind == ValueKind::String);
            if !is_string {
                continue;
            }
            let dict = self.dict_unkept(root, *column)?;
            let parsed: Vec<i64>;
            let known = match &*dict {
                Dict::Time(values) => values,
                other => {
                    parsed = (0..other.len() as u32)
                        .map(|id| parse_micros_utc(&other.get(id)).unwrap_or(NO_TIME))
                        .collect();
                    &parsed
                }
            };
            // The numbers are not kept either, unless somebody did.
            let kept = self.lock().ids.get(&(root.0, *column)).cloned();
            let ids = kept.map_or_else(|| self.decoded_ids(root, *column).map(Arc::new), Ok)?;
            self.occurrences_of(root, *column, &ids, |event, id| {
                if let (Some(slot), Some(time)) = (times.get_mut(event), known.get(id as usize)) {
                    *slot = *time;
                }
            })?;
        }
        for (event, time) in self.odd_times()? {
            *times.get_mut(event).ok_or(Short)? = time;
        }
        Ok(times)
    }

    /// Returns the events whose time is not that at [`TIME_PATH`], and their times.
    pub(super) fn odd_times(&self) -> Result<Vec<(usize, i64)>> {
        if self.footer.odd_times == NO_FRAME {
            return Ok(Vec::new());
        }
        let bytes = self.frame(self.footer.odd_times)?;
        let mut cursor = Cursor::new(&bytes);
        let n = cursor.get_len(self.len())?;
        (0..n)
            .map(|_| {
                let event = number(&mut cursor)? as usize;
                let some = cursor.get()? == 1;
                let time = cursor.get_signed()?;
                Ok((event, if some { time } else { NO_TIME }))
            })
            .collect()
    }

    /// Calls `each` with every occurrence of a column: the event and the number of the value.
    ///
    /// # Errors
    /// On damage.
    pub fn occurrences(
        &self,
        section: SectionId,
        column: u32,
        each: impl FnMut(usize, u32),
    ) -> Result<()> {
        let ids = self.ids(section, column)?;
        self.occurrences_of(section, column, &ids, each)
    }

    fn occurrences_of(
        &self,
        section: SectionId,
        column: u32,
        ids: &Numbers,
        mut each: impl FnMut(usize, u32),
    ) -> Result<()> {
        if self.one_each(section, column)? && ids.len() == self.len() {
            ids.each(each);
            return Ok(());
        }
        let templates = self.templates(section)?;
        let links = self.links(section)?;
        let counts = links.counts(column)?;
        // Nearly all are of these widths; a loop for each spares asking at every event.
        let each = &mut each;
        match (&*templates, ids) {
            (Numbers::Bytes(templates), Numbers::Bytes(ids)) => {
                walk(wide(templates), &counts, wide(ids), each)
            }
            (Numbers::Bytes(templates), Numbers::Shorts(ids)) => {
                walk(wide(templates), &counts, wide(ids), each)
            }
            (Numbers::Shorts(templates), Numbers::Bytes(ids)) => {
                walk(wide(templates), &counts, wide(ids), each)
            }
            (templates, ids) => walk(templates.iter(), &counts, ids.iter(), each),
        }
    }

    /// Returns the events that have one of a few values (by number, ascending) in a column,
    /// ascending; `None` where so many have that they are better gone through one by one.
    ///
    /// # Errors
    /// On damage.
    pub fn events_of_few(
        &self,
        section: SectionId,
        column: u32,
        few: &[u32],
    ) -> Result<Option<Vec<usize>>> {
        let ids = self.ids(section, column)?;
        let Some(positions) = ids.places_of(few, ids.len() / MARK_EVERY) else { return Ok(None) };
        if self.one_each(section, column)? && ids.len() == self.len() {
            return Ok(Some(positions.into_iter().map(|position| position as usize).collect()));
        }
        let marks = self.marks(section, column)?;
        let templates = self.templates(section)?;
        let counts = self.links(section)?.counts(column)?;
        let mut events: Vec<usize> = Vec::with_capacity(positions.len());
        for position in positions {
            // The last mark before which no more values stand than before the position.
            let mark = marks.partition_point(|values| *values <= position).saturating_sub(1);
            let mut end = marks.get(mark).copied().ok_or(Short)?;
            let mut event = mark * MARK_EVERY;
            loop {
                let template = templates.get(event).ok_or(Short)?;
                end += counts.get(template as usize).copied().unwrap_or_default();
                if position < end {
                    break;
                }
                event += 1;
            }
            if events.last() != Some(&event) {
                events.push(event);
            }
        }
        Ok(Some(events))
    }

    /// Tells `put` which events have an accepted value of a column, 64 of them at a time: the
    /// number of the first divided by 64, and a bit for each.
    ///
    /// # Errors
    /// On damage.
    pub fn accepted_words(
        &self,
        section: SectionId,
        column: u32,
        accepted: &[bool],
        mut put: impl FnMut(usize, u64),
    ) -> Result<()> {
        let ids = self.ids(section, column)?;
        if self.one_each(section, column)? && ids.len() == self.len() {
            match &*ids {
                Numbers::Bytes(ids) => words_where(ids, accepted, put),
                Numbers::Shorts(ids) => words_where(ids, accepted, put),
                Numbers::Words(ids) => words_where(ids, accepted, put),
                ids => ids.each(|event, id| {
                    if accepted.get(id as usize) == Some(&true) {
                        put(event / 64, 1 << (event % 64));
                    }
                }),
            }
            return Ok(());
        }
        let links = self.links(section)?;
        // Nearly all values stand in an event once at most.
        if links.holders(column).iter().all(|(_, count)| *count == 1) {
            let templates = self.templates(section)?;
            let counts: Vec<u8> = links.counts(column)?.into_iter().map(|n| n as u8).collect();
            let (counts, put) = (&counts, &mut put);
            match (&*templates, &*ids) {
                (Numbers::Bytes(templates), Numbers::Bytes(ids)) => {
                    return walk_words(templates, counts, ids, accepted, put);
                }
                (Numbers::Bytes(templates), Numbers::Shorts(ids)) => {
                    return walk_words(templates, counts, ids, accepted, put);
                }
                (Numbers::Shorts(templates), Numbers::Bytes(ids)) => {
                    return walk_words(templates, counts, ids, accepted, put);
                }
                (Numbers::Shorts(templates), Numbers::Shorts(ids)) => {
                    return walk_words(templates, counts, ids, accepted, put);
                }
                _ => {}
            }
        }
        self.occurrences_of(section, column, &ids, |event, id| {
            if accepted.get(id as usize) == Some(&true) {
                put(event / 64, 1 << (event % 64));
            }
        })
    }

    /// Calls `each` with the occurrences of a column in some events (ascending): the place of the
    /// event among `events` and the number of the value.
    ///
    /// # Errors
    /// On damage.
    pub fn occurrences_in(
        &self,
        section: SectionId,
        column: u32,
        events: &[usize],
        mut each: impl FnMut(usize, u32),
    ) -> Result<()> {
        let ids = self.ids(section, column)?;
        if self.one_each(section, column)? && ids.len() == self.len() {
            for (place, event) in events.iter().enumerate() {
                each(place, ids.get(*event).ok_or(Short)?);
            }
            return Ok(());
        }
        let marks = self.marks(section, column)?;
        let templates = self.templates(section)?;
        let links = self.links(section)?;
        let counts = links.counts(column)?;
        let count = |event: usize| {
            let template = templates.get(event).unwrap_or_default();
            counts.get(template as usize).copied().unwrap_or_default() as usize
        };
        let (mut here, mut value) = (0, 0);
        for (place, event) in events.iter().enumerate() {
            let mark = event / MARK_EVERY;
            if mark * MARK_EVERY > here {
                here = mark * MARK_EVERY;
                value = *marks.get(mark).ok_or(Short)? as usize;
            }
            value += (here..*event).map(count).sum::<usize>();
            here = *event;
            let own = ids.iter_in(value..value + count(here));
            if own.len() != count(here) {
                return Err(Short.into());
            }
            own.for_each(|id| each(place, id));
        }
        Ok(())
    }

    /// How many values of a column stand before every [`MARK_EVERY`]th event.
    fn marks(&self, section: SectionId, column: u32) -> Result<Arc<Vec<u32>>> {
        self.cached(
            |cache| cache.marks.get(&(section.0, column)).cloned(),
            || {
                let templates = self.templates(section)?;
                let links = self.links(section)?;
                let counts = links.counts(column)?;
                let mut marks = Vec::with_capacity(templates.len() / MARK_EVERY + 1);
                let mut values = 0_u32;
                templates.each(|event, template| {
                    if event % MARK_EVERY == 0 {
                        marks.push(values);
                    }
                    values += counts.get(template as usize).copied().unwrap_or_default();
                });
                if values as usize != self.ids(section, column)?.len() {
                    return Err(Short.into());
                }
                let size = marks.len() * 4;
                Ok((marks, size))
            },
            |cache, made| {
                cache.marks.insert((section.0, column), made);
            },
        )
    }

    /// Returns what somebody keeps with the pack under a name, as long as it is in memory.
    pub fn kept<T: Send + Sync + 'static>(&self, name: &str) -> Option<Arc<T>> {
        let kept = self.lock().kept.get(name).cloned()?;
        kept.downcast().ok()
    }

    /// Keeps something of `bytes` bytes with the pack until there is too much of it, or of all
    /// that is decoded.
    pub fn keep<T: Send + Sync + 'static>(&self, name: &Arc<str>, what: Arc<T>, bytes: usize) {
        if self.lock().kept.len() >= KEPT_MAX {
            self.forget_kept();
        }
        let mut cache = self.lock();
        if cache.kept.insert(Arc::clone(name), what).is_none() {
            let bytes = bytes + name.len();
            cache.kept_bytes += bytes;
            self.hold(bytes);
        }
    }

    /// Lets go of what others keep with the pack, but not of decoded columns.
    pub fn forget_kept(&self) {
        let mut cache = self.lock();
        cache.kept.clear();
        let gone = std::mem::take(&mut cache.kept_bytes);
        self.held.fetch_sub(gone, Ordering::Relaxed);
        CACHED_BYTES.fetch_sub(gone, Ordering::Relaxed);
    }

    /// Says whether every `sourceIPs` is a plain list of strings.
    ///
    /// # Errors
    /// On damage.
    pub fn has_plain_addresses(&self) -> Result<bool> {
        if let Some(known) = self.lock().plain_addresses {
            return Ok(known);
        }
        let root = self.shapes(crate::index::pack::section::ROOT)?;
        let mut nodes = root.templates.iter().flat_map(|(_, shape)| &shape.nodes);
        let odd = nodes.any(|(path, _)| **path == *"sourceIPs");
        let own = self.shapes(SectionId(4))?;
        let mut elements = own.templates.iter().flat_map(|(_, s)| s.nodes.iter().skip(1));
        let plain = !odd && !elements.any(|(_, known)| *known != Known::Value);
        self.lock().plain_addresses = Some(plain);
        Ok(plain)
    }

    /// Says whether every event that has the section has exactly one value of a column.
    pub(super) fn one_each(&self, section: SectionId, column: u32) -> Result<bool> {
        let links = self.links(section)?;
        links.one_each(column)
    }

    /// Returns node, cluster, log, flags, prefix and suffix of the events.
    ///
    /// # Errors
    /// On damage.
    pub fn meta(&self) -> Result<Arc<[MetaColumn; N_META]>> {
        self.cached(
            |cache| cache.meta.clone(),
            || {
                let bytes = self.frame(self.footer.meta)?;
                let mut cursor = Cursor::new(&bytes);
                let mut meta: [MetaColumn; N_META] = Default::default();
                for column in &mut meta {
                    let n = cursor.get_len(bytes.len())?;
                    for _ in 0..n {
                        column.values.push(cursor.get_bytes()?.to_vec());
                    }
                    if n > 1 {
                        for _ in 0..self.len() {
                            column.ids.push(number(&mut cursor)?);
                        }
                    }
                }
                Ok((meta, bytes.len() * 4))
            },
            |cache, made| cache.meta = Some(made),
        )
    }

    /// Returns the events kept whole, by number.
    ///
    /// # Errors
    /// On damage.
    pub fn whole(&self) -> Result<Arc<Vec<(u32, Texts)>>> {
        self.cached(
            |cache| cache.whole.clone(),
            || {
                let mut whole = Vec::new();
                let mut size = 0;
                if self.footer.whole != NO_FRAME {
                    let bytes = self.frame(self.footer.whole)?;
                    size = bytes.len();
                    let mut cursor = Cursor::new(&bytes);
                    for _ in 0..cursor.get_len(self.len())? {
                        let event = number(&mut cursor)?;
                        let text = cursor.get_bytes()?.to_vec();
                        let some = cursor.get()? == 1;
                        let envelope = cursor.get_bytes()?.to_vec();
                        let envelope = some.then_some(envelope);
                        whole.push((event, Texts { event: text, envelope }));
                    }
                }
                Ok((whole, size))
            },
            |cache, made| cache.whole = Some(made),
        )
    }

    fn raw_of(&self) -> Result<Arc<Vec<u32>>> {
        self.cached(
            |cache| cache.raw_of.clone(),
            || {
                let bytes = self.frame(self.footer.raw_of)?;
                let mut cursor = Cursor::new(&bytes);
                let modes = (0..self.len())
                    .map(|_| number(&mut cursor))
                    .collect::<std::result::Result<Vec<_>, _>>()?;
                Ok((modes, self.len() * 4))
            },
            |cache, made| cache.raw_of = Some(made),
        )
    }

    fn raws(&self) -> Result<Arc<Vec<Vec<u8>>>> {
        self.cached(
            |cache| cache.raws.clone(),
            || {
                let bytes = self.frame(self.footer.raws)?;
                let mut cursor = Cursor::new(&bytes);
                let n = cursor.get_len(bytes.len())?;
                let raws = (0..n)
                    .map(|_| cursor.get_bytes().map(<[u8]>::to_vec))
                    .collect::<std::result::Result<Vec<_>, _>>()?;
                Ok((raws, bytes.len()))
            },
            |cache, made| cache.raws = Some(made),
        )
    }

    /// Returns the enclosing text of an event, given the event's own.
    ///
    /// # Errors
    /// On damage.
    pub fn enclosing(&self, event: usize, text: &[u8]) -> Result<Vec<u8>> {
        match self.around(event)? {
            Around::Nothing => Ok(text.to_vec()),
            Around::Little(prefix, suffix) => Ok([prefix.as_slice(), text, &suffix].concat()),
            Around::Text(raws, at) => raws.get(at).cloned().ok_or_else(|| Short.into()),
        }
    }

    /// Returns what stands around an event in its record.
    ///
    /// # Errors
    /// On damage.
    pub fn around(&self, event: usize) -> Result<Around> {
        if self.footer.raw_of == NO_FRAME {
            return Ok(Around::Nothing);
        }
        match self.raw_of()?.get(event).copied().unwrap_or_default() {
            0 => Ok(Around::Nothing),
            1 => {
                let meta = self.meta()?;
                let [.., prefix, suffix] = &*meta;
                Ok(Around::Little(prefix.value(event).to_vec(), suffix.value(event).to_vec()))
            }
            other => Ok(Around::Text(self.raws()?, other as usize - 2)),
        }
    }

    /// Returns what was derived from the pack when it was made, if anything was.
    ///
    /// # Errors
    /// On damage.
    pub fn derived(&self) -> Result<Option<Vec<u8>>> {
        match self.footer.derived {
            NO_FRAME => Ok(None),
            frame => self.frame(frame).map(|frame| Some(frame.into_vec())),
        }
    }

    /// Returns what the events are, to 40 bits each, sorted.
    ///
    /// # Errors
    /// On damage.
    pub fn identities(&self) -> Result<Vec<u64>> {
        let bytes = self.frame(self.footer.identities)?;
        let mut cursor = Cursor::new(&bytes);
        let mut before = 0_u64;
        (0..self.len())
            .map(|_| {
                before = before.wrapping_add(cursor.get()?);
                Ok(before)
            })
            .collect()
    }
}

fn wide<T: Copy + Into<u32>>(numbers: &[T]) -> impl Iterator<Item = u32> + '_ {
    numbers.iter().map(|number| (*number).into())
}

/// Tells `put` at which places an accepted number stands, 64 places at a time.
fn words_where<T: Copy + Into<u32>>(ids: &[T], accepted: &[bool], mut put: impl FnMut(usize, u64)) {
    for (at, ids) in ids.chunks(64).enumerate() {
        let mut word = 0;
        for (bit, id) in ids.iter().enumerate() {
            let id: u32 = (*id).into();
            let yes = accepted.get(id as usize).copied().unwrap_or_default();
            word |= u64::from(yes) << bit;
        }
        if word != 0 {
            put(at, word);
        }
    }
}

/// The same for a column of which an event has a value or none, as its template says.
fn walk_words<T: Copy + Into<u32>, I: Copy + Into<u32>>(
    templates: &[T],
    counts: &[u8],
    ids: &[I],
    accepted: &[bool],
    put: &mut impl FnMut(usize, u64),
) -> Result<()> {
    let mut position = 0;
    for (at, templates) in templates.chunks(64).enumerate() {
        let mut word = 0;
        for (bit, template) in templates.iter().enumerate() {
            let template: u32 = (*template).into();
            let has = counts.get(template as usize).copied().unwrap_or_default();
            let id = ids.get(position).map_or(u32::MAX, |id| (*id).into());
            let yes = accepted.get(id as usize).copied().unwrap_or_default();
            word |= u64::from(has & u8::from(yes)) << bit;
            position += usize::from(has);
        }
        if word != 0 {
            put(at, word);
        }
    }
    if position == ids.len() { Ok(()) } else { Err(Short.into()) }
}

/// Tells `each` the values of a column, of which an event has as many as its template says.
fn walk(
    templates: impl Iterator<Item = u32>,
    counts: &[u32],
    mut ids: impl Iterator<Item = u32>,
    each: &mut impl FnMut(usize, u32),
) -> Result<()> {
    for (event, template) in templates.enumerate() {
        for _ in 0..counts.get(template as usize).copied().unwrap_or_default() {
            each(event, ids.next().ok_or(Short)?);
        }
    }
    if ids.next().is_some() { Err(Short.into()) } else { Ok(()) }
}

/// Returns the column of each value gap of a skeleton.
fn gap_columns(shape: &Shape, directory: &Directory) -> Result<Vec<u32>> {
    let mut columns = Vec::with_capacity(shape.gaps.len());
    for (_, gap) in &shape.gaps {
        let Gap::Value { path, kind } = gap else { continue };
        let column = directory
            .at(path)
            .iter()
            .find(|at| directory.rows.get(**at as usize).is_some_and(|r| r.kind == *kind))
            .ok_or(Damage { offset: 0, what: "a gap without a column" })?;
        columns.push(*column);
    }
    Ok(columns)
}

/// Says what a skeleton tells of a path, for every template that has it.
pub fn known_at(shapes: &Shapes, path: &str) -> Vec<(u32, Known)> {
    let mut found = Vec::new();
    for (number, (_, shape)) in shapes.templates.iter().enumerate() {
        for (here, known) in &shape.nodes {
            if **here == *path {
                found.push((number as u32 + 1, *known));
            }
        }
    }
    found
}
