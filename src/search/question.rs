//! A question made ready to be put to packs: what each condition reads, and what must be judged
//! event by event.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::field::Field;
use crate::event::field::FieldKind;
use crate::event::field::Reading;
use crate::event::time::TimeRange;
use crate::event::words::fold;
use crate::event::words::words;
use crate::event::zone::Zone;
use crate::index::pack::build::META_CLUSTER;
use crate::index::pack::build::META_LOG;
use crate::index::pack::build::META_NODE;
use crate::index::pack::filter::PathFact;
use crate::index::pack::filter::WordFilter;
use crate::index::pack::filter::WordKey;
use crate::index::pack::filter::path_key;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::ValueSet;
use crate::query::ast::WordPattern;
use crate::query::error::QueryError;
use crate::query::matcher::MatchOptions;
use crate::query::matcher::Matcher;
use crate::query::value::CompiledTest;
use crate::query::value::CompiledWord;
use crate::query::value::CompiledWords;

/// A question ready for packs.
#[derive(Debug)]
pub struct Question {
    /// What is asked of a pack.
    pub root: Node,
    /// The whole question, for events that are kept whole.
    pub matcher: Matcher,
    /// Only events of this time.
    pub range: TimeRange,
    /// Zone of hours and weekdays.
    pub zone: Zone,
}

/// A test of values, with what the planner asks of it again and again.
#[derive(Debug)]
pub struct ValueTest {
    /// Judges one value.
    pub test: CompiledTest,
    /// Whether `true` and `false` pass: these stand in skeletons, not in columns.
    pub accepts_true: bool,
    /// See `accepts_true`.
    pub accepts_false: bool,
    /// See [`CompiledTest::ascii_pattern`].
    pub pattern: Option<String>,
    /// Words, hashed: of one of these lists every passing value holds all; what a pack, or a column,
    /// lacks cannot pass.
    pub keys: Vec<Vec<WordKey>>,
    /// The field and the test as text: equal conditions have equal names.
    pub name: Option<Arc<str>>,
}

/// Words to be found next to each other in one key or value.
#[derive(Debug)]
pub struct WordTest {
    /// Judges one text.
    pub words: CompiledWords,
    /// The whole words; a pack, or a column, that lacks one cannot match.
    pub keys: Vec<WordKey>,
    /// A text of ASCII letters and digits, in lower case, that a matching text holds in whatever
    /// case; found fast, it says which texts are worth a judgement.
    pub needle: Option<String>,
    /// Whether the needle is a whole word.
    pub whole: bool,
}

impl WordTest {
    fn new(patterns: &[WordPattern]) -> WordTest {
        let words = CompiledWords::compile(patterns);
        let keys = words
            .words()
            .iter()
            .filter_map(|word| match word {
                CompiledWord::Is(folded) => WordKey::of(folded),
                CompiledWord::Like(_) => None,
            })
            .collect();
        let mut needle: Option<(String, bool)> = None;
        let mut offer = |text: &str, whole: bool| {
            let text = fold(text);
            let plain = !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric());
            if plain && needle.as_ref().is_none_or(|(best, _)| best.len() < text.len()) {
                needle = Some((text, whole));
            }
        };
        for pattern in patterns {
            match pattern {
                WordPattern::Is(word) => offer(word, true),
                WordPattern::Like(glob) => {
                    for part in &glob.0 {
                        if let GlobPart::Text(text) = part {
                            offer(text, false);
                        }
                    }
                }
            }
        }
        let whole = needle.as_ref().is_some_and(|(_, whole)| *whole);
        WordTest { words, keys, needle: needle.map(|(text, _)| text), whole }
    }

    /// Says whether a pack can hold the words.
    pub fn may_stand(&self, filter: &WordFilter<'_>) -> bool {
        self.keys.iter().all(|key| filter.may_hold(key.key))
    }
}

/// One condition.
#[derive(Debug)]
pub enum Node {
    /// Every event.
    All,
    /// All of these, cheap ones first.
    And(Vec<Node>),
    /// Any of these.
    Or(Vec<Node>),
    /// Not this.
    Not(Box<Node>),
    /// Some value at one of these paths passes.
    Leaf {
        /// Joined paths.
        paths: Vec<String>,
        /// The test.
        test: ValueTest,
    },
    /// Some node at one of these paths is not null.
    Present(Vec<String>),
    /// The values of the first path that has any pass.
    FirstOf {
        /// Joined paths.
        paths: Vec<String>,
        /// The test.
        test: ValueTest,
        /// Paths behind the first count only for namespace objects.
        namespace: bool,
    },
    /// The last source address passes.
    Peer(ValueTest),
    /// The computed field passes.
    Computed(Field, ValueTest),
    /// The name of the source passes.
    Source(ValueTest),
    /// Node, cluster or log passes (a place in the pack's meta columns).
    Meta(usize, ValueTest),
    /// Some flag passes.
    Flag(ValueTest),
    /// The words stand somewhere.
    Words(WordTest),
    /// Any of these words stand somewhere.
    AnyWords(Vec<WordTest>),
    /// Candidates of the first are judged one by one.
    Judged(Box<Node>, Box<Matcher>),
    /// A condition that several questions of a batch share, by its number in the batch.
    Shared(u32, Box<Node>),
}

/// Numbers the conditions that the questions of a batch share.
#[derive(Debug, Default)]
pub struct Sharing {
    numbers: HashMap<String, u32>,
}

impl Sharing {
    /// Returns how many different conditions there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Says whether there is none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn share(&mut self, ast: &QueryAst, node: Node) -> Node {
        let next = self.numbers.len() as u32;
        let number = *self.numbers.entry(format!("{ast:?}")).or_insert(next);
        Node::Shared(number, Box::new(node))
    }
}

impl Question {
    /// Makes a question ready.
    ///
    /// # Errors
    /// A regex that does not compile, and what else the matcher refuses.
    pub fn new(ast: &QueryAst, range: TimeRange, zone: Zone) -> Result<Question, QueryError> {
        let matcher = Matcher::compile(ast, &MatchOptions { zone })?;
        Ok(Question { root: node(ast, zone, None)?, matcher, range, zone })
    }

    /// Makes one question of a batch ready.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_batch(
        ast: &QueryAst,
        range: TimeRange,
        zone: Zone,
        sharing: &mut Sharing,
    ) -> Result<Question, QueryError> {
        let matcher = Matcher::compile(ast, &MatchOptions { zone })?;
        Ok(Question { root: node(ast, zone, Some(sharing))?, matcher, range, zone })
    }

    /// Says whether a pack with this filter can hold a matching event (of those not kept whole).
    pub fn may_match(&self, filter: &WordFilter<'_>) -> bool {
        self.root.may_match(filter)
    }
}

fn node(ast: &QueryAst, zone: Zone, mut sharing: Option<&mut Sharing>) -> Result<Node, QueryError> {
    let in_batch = sharing.is_some();
    let mut all = |parts: &[QueryAst]| -> Result<Vec<Node>, QueryError> {
        let mut nodes: Vec<Node> = parts
            .iter()
            .map(|part| node(part, zone, sharing.as_deref_mut()))
            .collect::<Result<_, _>>()?;
        nodes.sort_by_key(Node::cost);
        Ok(nodes)
    };
    Ok(match ast {
        QueryAst::All => Node::All,
        QueryAst::And(parts) => Node::And(all(parts)?),
        QueryAst::Or(parts) => {
            // In a batch conditions are shared one by one.
            let parts = &if in_batch { parts.clone() } else { one_test_a_field(parts) };
            let is_words = |part: &&QueryAst| matches!(part, QueryAst::Words(_));
            let (words, others): (Vec<&QueryAst>, Vec<&QueryAst>) =
                parts.iter().partition(is_words);
            if words.len() < 2 {
                return Ok(Node::Or(all(parts)?));
            }
            let words: Vec<QueryAst> = words.into_iter().cloned().collect();
            let others: Vec<QueryAst> = others.into_iter().cloned().collect();
            let tests = words.iter().filter_map(|part| match part {
                QueryAst::Words(patterns) => Some(WordTest::new(patterns)),
                _ => None,
            });
            let tests = tests.collect();
            let mut nodes = all(&others)?;
            nodes.push(Node::AnyWords(tests));
            Node::Or(nodes)
        }
        QueryAst::Not(inner) => Node::Not(Box::new(node(inner, zone, sharing)?)),
        QueryAst::Field { field, test } => {
            let own = field_node(field, test, ast, zone)?;
            match sharing {
                Some(sharing) if !matches!(own, Node::Judged(..)) => sharing.share(ast, own),
                _ => own,
            }
        }
        QueryAst::Within { path, inner } => {
            let candidates = node(&widen(inner, path), zone, sharing)?;
            let matcher = Matcher::compile(ast, &MatchOptions { zone })?;
            Node::Judged(Box::new(candidates), Box::new(matcher))
        }
        QueryAst::Words(patterns) => Node::Words(WordTest::new(patterns)),
    })
}

/// Makes one condition of those that compare one field with one text each: a column is passed over
/// once for all of them.
fn one_test_a_field(parts: &[QueryAst]) -> Vec<QueryAst> {
    let mut texts: Vec<(&Field, Vec<String>)> = Vec::new();
    let mut others: Vec<QueryAst> = Vec::new();
    for part in parts {
        match part {
            QueryAst::Field { field, test: Test::Equals { text, cased: false } }
                if matches!(field.kind(), FieldKind::Text | FieldKind::Open) =>
            {
                match texts.iter_mut().find(|(known, _)| *known == field) {
                    Some((_, texts)) => texts.push(fold(text)),
                    None => texts.push((field, vec![fold(text)])),
                }
            }
            other => others.push(other.clone()),
        }
    }
    let joined = texts.into_iter().map(|(field, mut texts)| {
        texts.sort_unstable();
        texts.dedup();
        match texts.as_slice() {
            [one] => QueryAst::equals(field.clone(), one),
            _ => {
                let set = ValueSet { file: String::new(), texts, networks: Vec::new() };
                QueryAst::Field { field: field.clone(), test: Test::OneOf(Arc::new(set)) }
            }
        }
    });
    joined.chain(others).collect()
}

/// Answers to longer conditions are not kept.
const NAME_MAX: usize = 16 << 10;

fn field_node(field: &Field, test: &Test, ast: &QueryAst, zone: Zone) -> Result<Node, QueryError> {
    if test.other_field().is_some() {
        let matcher = Matcher::compile(ast, &MatchOptions { zone })?;
        return Ok(Node::Judged(Box::new(Node::All), Box::new(matcher)));
    }
    let mut compiled = ValueTest::new(CompiledTest::compile(test, field.kind(), zone)?);
    // The texts of a list from a file are not worth keeping.
    let name = format!("{field:?} {test:?}");
    compiled.name = (name.len() <= NAME_MAX).then(|| name.into());
    Ok(match field.reading() {
        Reading::AnyOf(paths) if *test == Test::Present => Node::Present(paths),
        Reading::AnyOf(paths) => Node::Leaf { paths, test: compiled },
        Reading::FirstOf(paths) => Node::FirstOf { paths, test: compiled, namespace: false },
        Reading::Namespace(paths) => Node::FirstOf { paths, test: compiled, namespace: true },
        Reading::Computed => match field {
            Field::Peer => Node::Peer(compiled),
            Field::Source => Node::Source(compiled),
            Field::Node => Node::Meta(META_NODE, compiled),
            Field::Cluster => Node::Meta(META_CLUSTER, compiled),
            Field::Log => Node::Meta(META_LOG, compiled),
            Field::Flag => Node::Flag(compiled),
            other => Node::Computed(other.clone(), compiled),
        },
    })
}

/// Turns the inside of `path{ }` into a condition on the whole event that holds at least wherever
/// the inside does: each condition somewhere, negations anywhere.
fn widen(inner: &QueryAst, path: &str) -> QueryAst {
    let join = |rest: &str| match (path, rest) {
        (path, "") => path.to_owned(),
        ("", rest) => rest.to_owned(),
        (path, rest) => format!("{path}.{rest}"),
    };
    match inner {
        QueryAst::And(parts) => {
            QueryAst::all_of(parts.iter().map(|part| widen(part, path)).collect())
        }
        QueryAst::Or(parts) => {
            QueryAst::any_of(parts.iter().map(|part| widen(part, path)).collect())
        }
        QueryAst::Field { test, .. } if test.other_field().is_some() => QueryAst::All,
        QueryAst::Field { field: Field::Path(rest), test } => {
            QueryAst::Field { field: Field::Path(join(rest)), test: test.clone() }
        }
        QueryAst::Within { path: rest, inner } => widen(inner, &join(rest)),
        _ => QueryAst::All,
    }
}

/// Of longer lists a pack is not asked for each text.
const LISTED: usize = 64;

impl ValueTest {
    fn new(test: CompiledTest) -> ValueTest {
        let texts: Vec<&str> = match (test.exact_folded(), test.folded_texts()) {
            (Some(text), _) => vec![text],
            (None, Some(texts)) if texts.len() <= LISTED => {
                texts.iter().map(String::as_str).collect()
            }
            _ => Vec::new(),
        };
        let keys_of = |text: &&str| match text.is_ascii() {
            true => words(text).filter_map(WordKey::of).collect(),
            // Folding can move word boundaries outside ASCII.
            false => Vec::new(),
        };
        let mut keys: Vec<Vec<WordKey>> = texts.iter().map(keys_of).collect();
        if keys.is_empty() {
            keys.push(Vec::new());
        }
        ValueTest {
            accepts_true: test.accepts("true"),
            accepts_false: test.accepts("false"),
            pattern: test.ascii_pattern(),
            test,
            keys,
            name: None,
        }
    }

    /// Says whether a pack can hold a passing value at one of `paths`.
    fn may_pass(&self, paths: &[String], filter: &WordFilter<'_>) -> bool {
        let fact = |fact| paths.iter().any(|path| filter.may_hold(path_key(path, fact)));
        (self.accepts_true && fact(PathFact::True))
            || (self.accepts_false && fact(PathFact::False))
            || (self.keys.iter().any(|keys| keys.iter().all(|key| filter.may_hold(key.key)))
                && fact(PathFact::Value))
    }
}

impl Node {
    fn may_match(&self, filter: &WordFilter<'_>) -> bool {
        match self {
            Node::And(parts) => parts.iter().all(|part| part.may_match(filter)),
            Node::Or(parts) => parts.iter().any(|part| part.may_match(filter)),
            Node::Leaf { paths, test } => test.may_pass(paths, filter),
            Node::FirstOf { paths, test, .. } => test.may_pass(paths, filter),
            Node::Present(paths) => {
                paths.iter().any(|path| filter.may_hold(path_key(path, PathFact::Present)))
            }
            Node::Words(test) => test.may_stand(filter),
            Node::AnyWords(tests) => tests.iter().any(|test| test.may_stand(filter)),
            Node::Judged(candidates, _) => candidates.may_match(filter),
            Node::Shared(_, inner) => inner.may_match(filter),
            _ => true,
        }
    }

    fn cost(&self) -> u32 {
        match self {
            Node::All | Node::Source(_) | Node::Meta(..) | Node::Flag(_) => 0,
            Node::Leaf { paths, test } if paths.iter().all(|p| !p.contains("Object.")) => {
                // Whole texts usually leave few events, which is all that is asked of the others.
                let whole =
                    test.test.exact_folded().is_some() || test.test.folded_texts().is_some();
                if whole { 1 } else { 2 }
            }
            Node::Peer(_) => 2,
            Node::Leaf { .. } | Node::Present(_) => 3,
            Node::FirstOf { .. } => 4,
            Node::Computed(..) => 5,
            Node::Not(inner) | Node::Shared(_, inner) => inner.cost(),
            Node::And(parts) | Node::Or(parts) => {
                parts.iter().map(Node::cost).max().unwrap_or_default() + 1
            }
            Node::Words(..) | Node::AnyWords(..) => 100,
            Node::Judged(..) => 200,
        }
    }
}
