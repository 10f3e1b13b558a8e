//! Times, places and whatever else a pack holds of each event.

use std::sync::Arc;

use crate::event::place::Place;
use crate::event::time::parse_micros_utc;
use crate::index::pack::build::N_META;
use crate::index::pack::column::Dict;
use crate::index::pack::layout::NO_FRAME;
use crate::index::pack::layout::number;
use crate::index::pack::layout::places;
use crate::index::pack::place_list::Places;
use crate::index::pack::section::ROOT;
use crate::index::pack::shape::ValueKind;
use crate::index::pack::stored_event::Around;
use crate::index::pack::stored_event::MetaColumn;
use crate::index::pack::stored_event::Texts;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::view::Pack;
use crate::index::pack::view::Result;
use crate::index::pack::view::TIME_PATH;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Short;

impl Pack {
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

    /// Returns where some events (ascending) stand; where no second question is expected nothing is
    /// kept of the others.
    ///
    /// # Errors
    /// On damage.
    pub fn places_of(&self, events: &[u32]) -> Result<Vec<Place>> {
        if self.once && self.lock().places.is_none() {
            return Ok(places::read_some(&self.frame(self.footer.places)?, self.len(), events)?);
        }
        let places = self.places()?;
        let place = |event: &u32| places.get(*event as usize).ok_or(Short);
        Ok(events.iter().map(place).collect::<std::result::Result<_, _>>()?)
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
        let directory = self.directory(ROOT)?;
        for column in directory.at(TIME_PATH) {
            let is_string = directory
                .rows
                .get(*column as usize)
                .is_some_and(|row| row.kind == ValueKind::String);
            if !is_string {
                continue;
            }
            let dict = self.dict_unkept(ROOT, *column)?;
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
            let kept = self.lock().ids.get(&(ROOT.0, *column)).cloned();
            let ids = kept.map_or_else(|| self.decoded_ids(ROOT, *column).map(Arc::new), Ok)?;
            self.occurrences_of(ROOT, *column, &ids, |event, id| {
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
    pub(in crate::index::pack) fn odd_times(&self) -> Result<Vec<(usize, i64)>> {
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
