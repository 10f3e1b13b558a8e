//! A pack that is read: columns when they are asked for, events put together again.

mod columns;
mod events;
mod frames;
mod sections;

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crate::index::mmap::MappedFile;
use crate::index::mmap::let_go;
use crate::index::pack::build::N_META;
use crate::index::pack::column::Dict;
use crate::index::pack::few_events::FewEvents;
use crate::index::pack::layout::Footer;
use crate::index::pack::layout::MAGIC;
use crate::index::pack::layout::TRAILER_LEN;
use crate::index::pack::left_out::LeftOut;
use crate::index::pack::links::Directory;
use crate::index::pack::links::Links;
use crate::index::pack::links::Shapes;
use crate::index::pack::made::Made;
use crate::index::pack::numbers::Numbers;
use crate::index::pack::place_list::Places;
use crate::index::pack::section::ROOT;
use crate::index::pack::section::SectionId;
use crate::index::pack::stored_event::MetaColumn;
use crate::index::pack::stored_event::Texts;
use crate::index::pack::wire::Damage;
use crate::index::pack::wire::Frame;
use crate::index::pack::wire::FrameRef;
use crate::index::pack::wire::read_frame;
use crate::index::pack::wire::unpack;

/// Footers are shorter as a rule.
const END: usize = 4 << 10;
/// So many things are kept with a pack for others.
const KEPT_MAX: usize = 512;
/// Where most events have their time.
pub(super) const TIME_PATH: &str = "requestReceivedTimestamp";

/// Stands for "this event has no time".
pub const NO_TIME: i64 = i64::MIN;

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

    fn len(&self) -> usize {
        match self {
            Bytes::Mapped(_, range) => range.len(),
            Bytes::Made(bytes) => bytes.len(),
        }
    }

    /// Returns the last [`END`] bytes, or all where there are no more; of a file they are read:
    /// they are all that most questions want of most packs.
    fn end(&self) -> std::io::Result<Frame> {
        let start = self.len().saturating_sub(END);
        match self {
            Bytes::Mapped(file, range) => Frame::filled(self.len() - start, |out| {
                file.read(range.start + start..range.end, out)
            }),
            Bytes::Made(bytes) => Ok(Frame::from(bytes.get(start..).unwrap_or_default().to_vec())),
        }
    }
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
        let end = own.end().map_err(|_| damage("the file cannot be read"))?;
        let trailer: &[u8; TRAILER_LEN] = end.last_chunk().ok_or_else(|| damage("no trailer"))?;
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
        let start = frame.offset.checked_sub((own.len() - end.len()) as u64);
        let start = start.and_then(|start| usize::try_from(start).ok());
        let at_hand = start.and_then(|start| end.get(start..)?.get(..frame.stored as usize));
        let footer = match at_hand {
            Some(stored) => unpack(stored, &frame)?,
            None => read_frame(own.get(), &frame)?,
        };
        let footer = Footer::get(&footer)?;
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
}
