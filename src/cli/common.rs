//! What most commands share: where the index is, which time, how it is printed.

use std::io::IsTerminal;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::event::time::parse_duration;
use crate::event::time::parse_period;
use crate::event::zone::Zone;
use crate::hunt::answer::Answer;
use crate::hunt::investigate::story::Story;
use crate::query::ast::QueryAst;
use crate::query::parse::ParseOptions;
use crate::query::parse::parse;
use crate::query::resolve::resolve;
use crate::report::renderer::Renderer;
use crate::report::renderer::View;
use crate::report::renderer_registry::RENDERERS;
use crate::report::renderer_registry::renderer;
use crate::report::sanitize;
use crate::report::story_registry::STORY_RENDERERS;
use crate::report::story_registry::story_renderer;
use crate::search::evidence::Evidence;
use crate::search::evidence::SearchOptions;
use crate::search::indexed;
use crate::search::indexed::Searcher;

/// Which index is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct IndexArgs {
    /// Directory of the index
    #[arg(
        long = "index",
        value_name = "DIR",
        env = "AUDITHOUND_INDEX",
        hide_env_values = true,
        default_value = "./audithound.index"
    )]
    pub dir: PathBuf,
}

/// Which time is asked about.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TimeArgs {
    /// First moment: RFC 3339, a date, or counting back from the newest event (24h, 7d)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// First moment that is too late
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Time zone of `hour`, `weekday` and of dates typed without one
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub tz: String,
}

impl TimeArgs {
    /// Returns the zone that was asked for.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn zone(&self) -> anyhow::Result<Zone> {
        Zone::parse(self.tz.trim()).with_context(|| {
            format!("--tz {:?} is no time zone\n  hint: UTC, +02:00, Europe/Berlin", self.tz)
        })
    }

    /// Says whether the range depends on the newest event.
    pub fn is_relative(&self) -> bool {
        [&self.since, &self.until].into_iter().flatten().any(|t| parse_duration(t.trim()).is_some())
    }

    /// Returns the half-open range that was asked for; `newest` is what relative times count
    /// back from.
    ///
    /// # Errors
    /// When a time cannot be read, or the range is empty by mistake.
    pub fn range(&self, newest: Option<Timestamp>) -> anyhow::Result<TimeRange> {
        let zone = self.zone()?;
        let read = |flag: &str, text: &Option<String>| {
            text.as_deref().map(|text| moment_in(flag, text, newest, zone)).transpose()
        };
        let since = read("--since", &self.since)?;
        let until = read("--until", &self.until)?;
        if let (Some(a), Some(b)) = (since, until)
            && a >= b
        {
            bail!("--since {a} is not before --until {b}, so no event can lie between them");
        }
        Ok(TimeRange { since, until })
    }
}

/// Reads a time as typed behind `flag`, in UTC where it names no zone.
///
/// # Errors
/// One sentence on what was expected.
pub fn moment(flag: &str, text: &str, newest: Option<Timestamp>) -> anyhow::Result<Timestamp> {
    moment_in(flag, text, newest, Zone::UTC)
}

fn moment_in(
    flag: &str,
    text: &str,
    newest: Option<Timestamp>,
    zone: Zone,
) -> anyhow::Result<Timestamp> {
    let typed = text.trim();
    if let Some(back) = parse_duration(typed) {
        let newest = newest.with_context(|| {
            format!("{flag} {typed} counts back from the newest event, but no event has a time")
        })?;
        return Ok(Timestamp(newest.0.saturating_sub(back)));
    }
    match parse_period(typed) {
        Some((start, _)) if Timestamp::parse(typed).is_some() || typed.ends_with(['Z', 'z']) => {
            Ok(start)
        }
        Some((start, _)) => Ok(zone.moment(start)),
        None => bail!(
            "{flag} {typed:?} is no time\n  \
             hint: write 2025-12-09T12:57:00Z, 2025-12-09, or 24h (back from the newest event)"
        ),
    }
}

/// Whether the platform's own identities are left out.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct PlatformArgs {
    /// Hide events of platform identities (an exact list) and say how many
    #[arg(long)]
    pub no_platform: bool,
}

/// Which events are counted, and how the counts are printed: what `top` and `histogram` share.
#[derive(Clone, Debug, clap::Args)]
pub struct CountedArgs {
    /// Which events are counted
    #[arg(value_name = "QUERY", default_value = "*", allow_hyphen_values = true, value_parser = query_text)]
    pub query: String,
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Which time.
    #[command(flatten)]
    pub times: TimeArgs,
    /// Whose events.
    #[command(flatten)]
    pub platform: PlatformArgs,
    /// How the table is printed.
    #[command(flatten)]
    pub output: AnswerOutputArgs,
}

/// Evidence and a question to it, ready to be counted.
#[derive(Debug)]
pub struct Counted {
    /// The evidence.
    pub evidence: Searcher,
    /// The question, without the platform where that was asked.
    pub question: QueryAst,
    /// Which time.
    pub range: TimeRange,
}

impl CountedArgs {
    /// Reads the question and opens the evidence.
    ///
    /// # Errors
    /// When the question cannot be asked or the index cannot be opened.
    pub fn open(&self) -> anyhow::Result<Counted> {
        let question = parse_query(&self.query)?;
        let evidence = open_index(&self.index, self.times.zone()?)?;
        let range = self.times.range(evidence.newest())?;
        let question = without_platform(&evidence, question, range, self.platform)?;
        Ok(Counted { evidence, question, range })
    }
}

/// How a story is printed and where it comes from: what `investigate` and `timeline` share.
#[derive(Clone, Debug, clap::Args)]
pub struct StoryArgs {
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = story_format())]
    pub format: String,
    /// Shorten nothing on a terminal (nothing is shortened anyway)
    #[arg(long)]
    pub no_truncate: bool,
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Which time.
    #[command(flatten)]
    pub times: TimeArgs,
    /// Whose events.
    #[command(flatten)]
    pub platform: PlatformArgs,
}

/// The formats of a story, with what each is good for; `table` is `text`.
fn story_format() -> clap::builder::PossibleValuesParser {
    let names = STORY_RENDERERS.iter().map(|renderer| {
        let value = clap::builder::PossibleValue::new(renderer.name()).help(renderer.about());
        if renderer.name() == "text" { value.alias("table") } else { value }
    });
    clap::builder::PossibleValuesParser::new(names)
}

impl StoryArgs {
    /// Writes a story in the format asked for.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn print(&self, story: &Story, out: &mut dyn Write) -> anyhow::Result<()> {
        let name = if self.format == "table" { "text" } else { &self.format };
        let renderer = story_renderer(name)
            .ok_or_else(|| anyhow::anyhow!("there is no output format {name:?}"))?;
        renderer.render(story, out)?;
        Ok(())
    }
}

/// How an answer (anything but plain hits) is printed.
#[derive(Clone, Debug, clap::Args)]
pub struct AnswerOutputArgs {
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = answer_format())]
    pub format: String,
    /// Shorten nothing on a terminal
    #[arg(long)]
    pub no_truncate: bool,
}

fn answer_format() -> clap::builder::PossibleValuesParser {
    let names = RENDERERS.iter().map(|renderer| {
        let value = clap::builder::PossibleValue::new(renderer.name()).help(renderer.about());
        if renderer.name() == "table" { value.alias("text") } else { value }
    });
    clap::builder::PossibleValuesParser::new(names)
}

impl AnswerOutputArgs {
    /// Writes answers in the format asked for; `evidence` is where the events behind the rows are
    /// looked up.
    ///
    /// # Errors
    /// When writing fails or an event cannot be read.
    pub fn print(
        &self,
        answers: &[Answer],
        evidence: Option<&dyn Evidence>,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let renderer: &dyn Renderer = renderer(&self.format)
            .with_context(|| format!("there is no output format {:?}", self.format))?;
        let view = View { evidence, ..view(self.no_truncate) };
        renderer.render(answers, &view, out)?;
        Ok(())
    }
}

/// Returns the circumstances of standard output.
pub fn view(no_truncate: bool) -> View<'static> {
    let terminal = std::io::stdout().is_terminal();
    View {
        width: if terminal && !no_truncate { terminal_width() } else { None },
        terminal,
        colour: terminal && std::env::var_os("NO_COLOR").is_none(),
        ..View::default()
    }
}

fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

/// Opens the index for asking; hours and weekdays are told in UTC.
///
/// # Errors
/// One sentence on what is wrong with the directory.
pub fn open_evidence(args: &IndexArgs) -> anyhow::Result<Box<dyn Evidence>> {
    open_evidence_in(args, Zone::UTC)
}

/// Opens the index for asking; hours and weekdays are told in `zone`.
///
/// # Errors
/// One sentence on what is wrong with the directory.
pub fn open_evidence_in(args: &IndexArgs, zone: Zone) -> anyhow::Result<Box<dyn Evidence>> {
    Ok(Box::new(open_index(args, zone)?))
}

/// Opens the index itself, for what only an index knows: its manifest, its paths.
///
/// # Errors
/// One sentence on what is wrong with the directory.
pub fn open_index(args: &IndexArgs, zone: Zone) -> anyhow::Result<Searcher> {
    Ok(indexed::open(&args.dir)?.with_zone(zone))
}

/// Takes the text of a question from the command line: `-verb:get` is one, a mistyped option is
/// not.
///
/// # Errors
/// When the text can only be a mistyped option.
pub fn query_text(text: &str) -> Result<String, String> {
    match text.strip_prefix("--") {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            Err("there is no such option; a question that begins with -- takes NOT instead".into())
        }
        _ => Ok(text.to_owned()),
    }
}

/// Turns what was typed into a question.
///
/// # Errors
/// The text with the place marked and the nearest name.
pub fn parse_query(text: &str) -> anyhow::Result<QueryAst> {
    parse(text, &ParseOptions::default())
        .map_err(|error| anyhow!("{}", error.render(text).trim_end()))
}

/// Turns the name of a field, as typed behind an option, into the field.
///
/// # Errors
/// The nearest names.
pub fn resolve_field(name: &str) -> anyhow::Result<Field> {
    let name = name.trim();
    resolve(name).map_err(|unknown| {
        let hint =
            unknown.hint().unwrap_or_else(|| "`audithound fields` lists every name".to_owned());
        anyhow!("`{name}` is no field\n  {hint}")
    })
}

/// Leaves the platform's identities out of `question` where that was asked, and says on standard
/// error how many events that hides.
///
/// # Errors
/// When counting them fails.
pub fn without_platform(
    evidence: &dyn Evidence,
    question: QueryAst,
    range: TimeRange,
    args: PlatformArgs,
) -> anyhow::Result<QueryAst> {
    if !args.no_platform {
        return Ok(question);
    }
    let platform = crate::query::platform::platform_identities();
    let hidden = QueryAst::all_of(vec![question.clone(), platform.clone()]);
    let options = SearchOptions { range, limit: 1, count_all: true, ..SearchOptions::default() };
    let n_hidden = evidence.search(&hidden, &options)?.total;
    note(&format!("--no-platform hides {n_hidden} events of platform identities"));
    Ok(QueryAst::all_of(vec![question, platform.negated()]))
}

/// Says one sentence on standard error.
pub fn note(text: &str) {
    // A closed standard error is no reason to stop.
    let _ = writeln!(std::io::stderr(), "audithound: {}", sanitize::lines(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(since: &str, until: &str) -> anyhow::Result<TimeRange> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let args = TimeArgs { since: some(since), until: some(until), tz: "UTC".into() };
        args.range(Timestamp::parse("2025-12-09T12:00:00Z"))
    }

    #[test]
    fn relative_times_count_back_from_the_newest_event() {
        let asked = range("24h", "").unwrap();
        assert_eq!(asked.since, Timestamp::parse("2025-12-08T12:00:00Z"));
        assert_eq!(asked.until, None);
    }

    #[test]
    fn a_bad_time_is_an_error_with_a_remedy() {
        let error = range("yesterday", "").unwrap_err().to_string();
        assert!(error.contains("--since \"yesterday\"") && error.contains("hint:"), "{error}");
        assert!(range("2025-12-10", "2025-12-09").is_err());
    }
}
