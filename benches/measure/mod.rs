//! What a process has used, how a set of times is distributed, how a table is printed.

#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]
#![allow(clippy::panic, clippy::print_stdout, clippy::print_stderr)]

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

/// CPU seconds of this process so far, all threads, in steps of 10 ms (`/proc/self/stat`).
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Largest resident set of this process so far, in bytes, mapped input included (`VmHWM`).
pub fn peak_memory() -> u64 {
    memory_now("VmHWM:")
}

/// One of the figures of this process in `/proc/self/status`, in bytes.
pub fn memory_now(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Bytes this process made the disk read so far (`/proc/self/io`).
pub fn bytes_from_disk() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|line| line.trim().parse().ok()).unwrap_or(0)
}

/// Empties the page cache; says whether that was allowed.
pub fn drop_page_cache() -> bool {
    let _ = Command::new("sync").status();
    std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// Bytes of all files in a directory.
pub fn size_of(dir: &Path) -> u64 {
    let mut open = vec![dir.to_path_buf()];
    let mut size = 0;
    while let Some(path) = open.pop() {
        for entry in std::fs::read_dir(&path).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => open.push(entry.path()),
                Ok(meta) => size += meta.len(),
                Err(_) => {}
            }
        }
    }
    size
}

/// Runs this very program again with other arguments and returns the JSON of its last line.
pub fn child(args: &[&str]) -> Value {
    let own = std::env::current_exe().unwrap();
    let out = Command::new(own).args(args).stderr(std::process::Stdio::inherit()).output().unwrap();
    assert!(out.status.success(), "{args:?} failed");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    serde_json::from_str(text.lines().last().unwrap_or("null")).unwrap()
}

/// Runs this very program again as [`child`], each on one core of its own and all at once; `None`
/// where `taskset` is not installed.
pub fn children_on_cores(all: &[Vec<&str>]) -> Option<Vec<Value>> {
    let own = std::env::current_exe().unwrap();
    let started: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(core, args)| {
            let mut command = Command::new("taskset");
            command.args(["-c", &core.to_string()]).arg(&own).args(args);
            command.stdout(std::process::Stdio::piped()).spawn().ok()
        })
        .collect::<Option<_>>()?;
    let told = started.into_iter().map(|child| {
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "a child on one core failed");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        serde_json::from_str(text.lines().last().unwrap_or("null")).unwrap()
    });
    Some(told.collect())
}

/// Times of one kind of question.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Runs `ask` and keeps how long it took.
    pub fn take<T>(&mut self, ask: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let answer = ask();
        self.0.push(begin.elapsed());
        answer
    }

    /// Keeps a time taken elsewhere.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Returns the time that `percent` of all stay within, in milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }

    /// How many were kept.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Prints a markdown table.
pub fn table(head: &[&str], rows: &[Vec<String>]) {
    println!("| {} |", head.join(" | "));
    println!("|{}", "---|".repeat(head.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
    println!();
}

/// Named options of a bench; cargo's own `--bench` is passed over.
pub struct Args(Vec<String>);

impl Args {
    /// Takes the arguments of this program.
    pub fn take() -> Args {
        Args(std::env::args().skip(1).filter(|arg| arg != "--bench").collect())
    }

    /// Says whether a flag was given.
    pub fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|arg| arg == flag)
    }

    /// Returns the words behind a flag.
    pub fn after(&self, flag: &str) -> Option<&[String]> {
        let at = self.0.iter().position(|arg| arg == flag)?;
        self.0.get(at + 1..)
    }

    /// Returns the value of an option.
    pub fn value<T: std::str::FromStr>(&self, flag: &str, default: T) -> T {
        match self.after(flag).and_then(<[String]>::first) {
            Some(text) => text.parse().unwrap_or_else(|_| panic!("{flag} {text}: not a value")),
            None => default,
        }
    }
}

/// A directory that is removed when the bench ends.
pub struct Workplace(PathBuf);

impl Workplace {
    /// Makes one under `--dir`, else under the system's folder for temporary files.
    pub fn new(args: &Args, name: &str) -> Workplace {
        let base = args.value("--dir", std::env::temp_dir().display().to_string());
        let path = Path::new(&base).join(format!("audithound-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Workplace(path)
    }

    /// Returns a path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
