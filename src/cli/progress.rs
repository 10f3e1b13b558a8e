//! What an analyst sees while an index is built: bytes, events a second, time left.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressState;
use indicatif::ProgressStyle;

use crate::index::build::Progress;
use crate::source::Container;
use crate::source::sniff;

/// Bytes that usually come out of one compressed byte of audit log; for the time left alone.
const USUAL_EXPANSION: u64 = 12;
/// Files looked at for the estimate.
const FILES_MAX: usize = 10_000;

/// A bar on standard error; nothing where that is no terminal.
#[derive(Debug)]
pub struct IndexProgress {
    bar: ProgressBar,
    events: AtomicU64,
    estimated: bool,
}

impl IndexProgress {
    /// Starts a bar for reading `paths`.
    pub fn new(paths: &[PathBuf]) -> IndexProgress {
        if !std::io::stderr().is_terminal() {
            return IndexProgress {
                bar: ProgressBar::hidden(),
                events: AtomicU64::new(0),
                estimated: false,
            };
        }
        let estimate = estimate_bytes(paths);
        let bar = match estimate {
            Some(bytes) => ProgressBar::new(bytes),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        let template = if estimate.is_some() {
            "{bar:30} {bytes} of about {total_bytes}  {binary_bytes_per_sec}  {msg}  {left} left"
        } else {
            "{spinner} {bytes}  {binary_bytes_per_sec}  {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let left = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{}s", state.eta().as_secs());
            };
            bar.set_style(style.with_key("left", left));
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        IndexProgress { bar, events: AtomicU64::new(0), estimated: estimate.is_some() }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for IndexProgress {
    fn advance(&self, bytes: u64, events: u64) {
        if self.bar.is_hidden() {
            return;
        }
        let events = self.events.fetch_add(events, Ordering::Relaxed) + events;
        self.bar.inc(bytes);
        if self.estimated && self.bar.length().is_some_and(|length| length < self.bar.position()) {
            // The estimate was too low.
            self.bar.set_length(self.bar.position());
        }
        let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a rate for the eye")]
        let rate = events as f64 / seconds;
        self.bar.set_message(format!("{rate:.0} events/s"));
    }
}

/// Returns about how many bytes will come out of `paths`; `None` where nobody can know.
fn estimate_bytes(paths: &[PathBuf]) -> Option<u64> {
    let mut total = 0_u64;
    for path in paths {
        if path.as_os_str() == "-" {
            return None;
        }
        for entry in walkdir::WalkDir::new(path).into_iter().take(FILES_MAX) {
            let Ok(entry) = entry else { continue };
            let Ok(data) = entry.metadata() else { continue };
            if !data.is_file() {
                continue;
            }
            total += data.len() * if is_compressed(entry.path()) { USUAL_EXPANSION } else { 1 };
        }
    }
    (total > 0).then_some(total)
}

fn is_compressed(path: &std::path::Path) -> bool {
    use std::io::Read;
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(600).read_to_end(&mut head));
    read.is_ok() && !matches!(sniff(&head), None | Some(Container::Tar))
}
