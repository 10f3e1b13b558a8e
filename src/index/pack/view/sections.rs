//! Templates and columns of a section of a pack, as far as somebody asks for them.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use crate::index::pack::finish::template_width;
use crate::index::pack::layout::ColumnRow;
use crate::index::pack::layout::NO_SECTION;
use crate::index::pack::layout::number;
use crate::index::pack::links::Directory;
use crate::index::pack::links::Links;
use crate::index::pack::links::NO_JSON;
use crate::index::pack::links::Shapes;
use crate::index::pack::links::gap_columns;
use crate::index::pack::links::skeletons_in;
use crate::index::pack::numbers::Numbers;
use crate::index::pack::numbers::from_planes;
use crate::index::pack::section::ROOT;
use crate::index::pack::section::SECTIONS;
use crate::index::pack::section::SectionId;
use crate::index::pack::shape::Known;
use crate::index::pack::shape::Shape;
use crate::index::pack::view::Pack;
use crate::index::pack::view::Result;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Frame;
use crate::index::pack::wire::Short;

impl Pack {
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
    pub(in crate::index::pack) fn templates_unkept(
        &self,
        section: SectionId,
    ) -> Result<Arc<Numbers>> {
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
    pub(in crate::index::pack) fn skeleton_frame(&self, section: SectionId) -> Result<Frame> {
        self.frame(self.section(section).skeletons)
    }

    /// Says whether what the skeletons of a section hold shows only when they are taken apart, and
    /// they were not.
    pub fn has_unlinked(&self, section: SectionId) -> bool {
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

    /// Says whether every `sourceIPs` is a plain list of strings.
    ///
    /// # Errors
    /// On damage.
    pub fn has_plain_addresses(&self) -> Result<bool> {
        if let Some(known) = self.lock().plain_addresses {
            return Ok(known);
        }
        let root = self.shapes(ROOT)?;
        let mut nodes = root.templates.iter().flat_map(|(_, shape)| &shape.nodes);
        let odd = nodes.any(|(path, _)| **path == *"sourceIPs");
        let own = self.shapes(SectionId(4))?;
        let mut elements = own.templates.iter().flat_map(|(_, s)| s.nodes.iter().skip(1));
        let plain = !odd && !elements.any(|(_, known)| *known != Known::Value);
        self.lock().plain_addresses = Some(plain);
        Ok(plain)
    }

    /// Says whether every event that has the section has exactly one value of a column.
    pub(in crate::index::pack) fn one_each(&self, section: SectionId, column: u32) -> Result<bool> {
        let links = self.links(section)?;
        links.one_each(column)
    }
}
