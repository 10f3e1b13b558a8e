//! Detections and conditions of a parsed rule become one question.

use std::collections::BTreeMap;
use std::collections::HashMap;

use ipnet::IpNet;
use rsigma_ir::IrCondition;
use rsigma_ir::IrDetection;
use rsigma_ir::IrDetectionItem;
use rsigma_ir::IrEncoding;
use rsigma_ir::IrExpandPart;
use rsigma_ir::IrMatcher;
use rsigma_ir::IrNumber;
use rsigma_ir::IrPattern;
use rsigma_ir::IrPatternPart;
use rsigma_ir::IrStrOp;
use rsigma_ir::IrTimePart;
use rsigma_parser::ArrayQuantifier;
use rsigma_parser::Quantifier;

use crate::event::field::Field;
use crate::event::field::FieldKind;
use crate::event::words::fold;
use crate::query::ast::Bound;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::WordPattern;
use crate::sigma::encoding;
use crate::sigma::error::SigmaError;
use crate::sigma::fields;
use crate::sigma::fields::Resolved;
use crate::sigma::rule::Flaw;
use crate::sigma::rule::NeededLevel;

/// Most combinations that `N of` may become.
const MAX_COMBINATIONS: usize = 4096;
/// Most prefixes that a network on a text field may become.
const MAX_PREFIXES: u32 = 256;

/// Values of `%placeholders%`.
pub type Vars = BTreeMap<String, Vec<String>>;

type Lowered = Result<QueryAst, SigmaError>;

/// Lowers one document; what it notices about the fields stays in it.
#[derive(Debug)]
pub struct Lowering<'v> {
    vars: &'v Vars,
    /// What the author should know.
    pub flaws: Vec<Flaw>,
    /// The highest level any field needs.
    pub needs: NeededLevel,
}

impl<'v> Lowering<'v> {
    /// Starts with the values of placeholders.
    pub fn new(vars: &'v Vars) -> Lowering<'v> {
        Lowering { vars, flaws: Vec::new(), needs: NeededLevel::Metadata }
    }

    /// Any of `conditions` over `detections`.
    pub fn conditions(
        &mut self,
        conditions: &[IrCondition],
        detections: &HashMap<String, IrDetection>,
    ) -> Lowered {
        let parts: Result<Vec<QueryAst>, SigmaError> =
            conditions.iter().map(|c| self.condition(c, detections, false)).collect();
        Ok(QueryAst::any_of(parts?))
    }

    fn condition(
        &mut self,
        condition: &IrCondition,
        detections: &HashMap<String, IrDetection>,
        inside: bool,
    ) -> Lowered {
        match condition {
            IrCondition::Detection(name) => match detections.get(name) {
                Some(detection) => self.detection(detection, inside),
                None => Err(SigmaError::Unreadable(format!("condition names no detection {name}"))),
            },
            IrCondition::And(parts) => {
                let parts: Result<Vec<QueryAst>, SigmaError> =
                    parts.iter().map(|c| self.condition(c, detections, inside)).collect();
                Ok(QueryAst::all_of(parts?))
            }
            IrCondition::Or(parts) => {
                let parts: Result<Vec<QueryAst>, SigmaError> =
                    parts.iter().map(|c| self.condition(c, detections, inside)).collect();
                Ok(QueryAst::any_of(parts?))
            }
            IrCondition::Not(inner) => Ok(self.condition(inner, detections, inside)?.negated()),
            IrCondition::Selector { quantifier, pattern } => {
                let mut names: Vec<&String> =
                    detections.keys().filter(|name| pattern.matches_detection_name(name)).collect();
                // The map has no order; the question must have one.
                names.sort_unstable();
                let parts: Result<Vec<QueryAst>, SigmaError> = names
                    .iter()
                    .filter_map(|name| detections.get(*name))
                    .map(|detection| self.detection(detection, inside))
                    .collect();
                let parts = parts?;
                if parts.is_empty() {
                    let text = format!("condition '{quantifier} of {pattern}' selects nothing");
                    return Err(SigmaError::Unreadable(text));
                }
                match quantifier {
                    Quantifier::Any => Ok(QueryAst::any_of(parts)),
                    Quantifier::All => Ok(QueryAst::all_of(parts)),
                    Quantifier::Count(n) => at_least(&parts, usize::try_from(*n).unwrap_or(0)),
                }
            }
        }
    }

    fn detection(&mut self, detection: &IrDetection, inside: bool) -> Lowered {
        match detection {
            IrDetection::AllOf(items) => {
                let parts: Result<Vec<QueryAst>, SigmaError> =
                    items.iter().map(|item| self.item(item, inside)).collect();
                Ok(QueryAst::all_of(parts?))
            }
            IrDetection::AnyOf(parts) => {
                let parts: Result<Vec<QueryAst>, SigmaError> =
                    parts.iter().map(|part| self.detection(part, inside)).collect();
                Ok(QueryAst::any_of(parts?))
            }
            IrDetection::And(parts) => {
                let parts: Result<Vec<QueryAst>, SigmaError> =
                    parts.iter().map(|part| self.detection(part, inside)).collect();
                Ok(QueryAst::all_of(parts?))
            }
            IrDetection::Keywords(matcher) => self.keywords(matcher),
            IrDetection::Conditional { named, condition } => {
                self.condition(condition, named, inside)
            }
            IrDetection::ArrayMatch { field, quantifier, body } => {
                self.array(field, *quantifier, body, inside)
            }
        }
    }

    /// `path[any]: {...}`: the conditions hold on one and the same element.
    fn array(
        &mut self,
        name: &str,
        quantifier: ArrayQuantifier,
        body: &IrDetection,
        inside: bool,
    ) -> Lowered {
        let resolved = self.resolve(name, inside)?;
        let inner = self.detection(body, true)?;
        let any = |inner: &QueryAst| {
            QueryAst::any_of(
                resolved
                    .fields
                    .iter()
                    .map(|field| QueryAst::Within {
                        path: field.name(),
                        inner: Box::new(inner.clone()),
                    })
                    .collect(),
            )
        };
        let none_fails = any(&inner.clone().negated()).negated();
        Ok(match quantifier {
            ArrayQuantifier::Any => any(&inner),
            ArrayQuantifier::None => any(&inner).negated(),
            ArrayQuantifier::AllOrEmpty => none_fails,
            ArrayQuantifier::All => QueryAst::all_of(vec![any(&QueryAst::All), none_fails]),
        })
    }

    fn resolve(&mut self, name: &str, inside: bool) -> Result<Resolved, SigmaError> {
        let name = name.replace("\\[", "[").replace("\\]", "]");
        if inside {
            return Ok(Resolved { fields: vec![Field::Path(name)], empty_is_absent: false });
        }
        if name.ends_with(']') || name.contains("].") {
            return Err(SigmaError::Unsupported(format!("an index into an array ({name})")));
        }
        if let Some(resolved) = fields::resolve(&name) {
            self.needs = self.needs.max(fields::needed_level(&resolved.fields));
            return Ok(resolved);
        }
        let text = format!("field {name} is not a field of an audit event");
        if !self.flaws.iter().any(|flaw| flaw.text == text) {
            self.flaws.push(Flaw { fatal: true, text });
        }
        Ok(Resolved { fields: vec![Field::Path(name)], empty_is_absent: false })
    }

    fn item(&mut self, item: &IrDetectionItem, inside: bool) -> Lowered {
        let resolved = match &item.field {
            Some(name) => self.resolve(name, inside)?,
            None if inside => Resolved { fields: vec![Field::path("")], empty_is_absent: false },
            None => return self.keywords(&item.matcher),
        };
        self.matcher(&resolved, &item.matcher, inside)
    }

    fn matcher(&mut self, on: &Resolved, matcher: &IrMatcher, inside: bool) -> Lowered {
        let number = |number: &IrNumber| match number {
            IrNumber::Literal(value) => Ok(value.to_string()),
            IrNumber::DynamicSourceRef { .. } => {
                Err(SigmaError::Unsupported("values from outside sources".into()))
            }
        };
        let range = |low: Bound, high: Bound| Ok(leaf(on, &Test::Range { low, high }));
        match matcher {
            IrMatcher::Str { op, pattern, case_insensitive } => {
                Ok(text_leaf(on, *op, &glob_of(pattern), !case_insensitive))
            }
            IrMatcher::Encoded { encodings, op, value, case_insensitive } => {
                let texts = encoded(encodings, value)?;
                // base64offset only says something about a part of the value.
                let op = match op {
                    IrStrOp::Exact if encodings.contains(&IrEncoding::Base64Offset) => {
                        IrStrOp::Contains
                    }
                    op => *op,
                };
                Ok(QueryAst::any_of(
                    texts
                        .into_iter()
                        .map(|t| text_leaf(on, op, &[GlobPart::Text(t)], !case_insensitive))
                        .collect(),
                ))
            }
            IrMatcher::Regex { pattern, case_insensitive, multiline, dotall, .. } => {
                regex_leaf(on, pattern, *case_insensitive, *multiline, *dotall)
            }
            IrMatcher::Cidr { network } => cidr_leaf(on, network),
            IrMatcher::NumericEq(n) => Ok(leaf(on, &equals(&number(n)?, false))),
            IrMatcher::NumericGt(n) => range(Bound::Excluded(number(n)?), Bound::Open),
            IrMatcher::NumericGte(n) => range(Bound::Included(number(n)?), Bound::Open),
            IrMatcher::NumericLt(n) => range(Bound::Open, Bound::Excluded(number(n)?)),
            IrMatcher::NumericLte(n) => range(Bound::Open, Bound::Included(number(n)?)),
            IrMatcher::Exists(true) => Ok(leaf(on, &Test::Present)),
            IrMatcher::Exists(false) | IrMatcher::Null => Ok(leaf(on, &Test::Present).negated()),
            IrMatcher::FieldRef { field, op, .. } => {
                if *op != IrStrOp::Exact || inside {
                    return Err(SigmaError::Unsupported("|fieldref with another modifier".into()));
                }
                let other = self.resolve(field, inside)?;
                Ok(QueryAst::any_of(
                    other.fields.iter().map(|f| leaf(on, &Test::SameAs(f.clone()))).collect(),
                ))
            }
            IrMatcher::BoolEq(value) => {
                Ok(leaf(on, &equals(if *value { "true" } else { "false" }, false)))
            }
            IrMatcher::Expand { template, case_insensitive } => {
                let texts = self.expand(template)?;
                Ok(QueryAst::any_of(
                    texts.iter().map(|t| leaf(on, &equals(t, !case_insensitive))).collect(),
                ))
            }
            IrMatcher::TimestampPart { part, inner } => match &**inner {
                IrMatcher::NumericEq(n) => time_part_leaf(on, *part, &number(n)?),
                _ => Err(SigmaError::Unsupported("a part of a time that is no number".into())),
            },
            IrMatcher::Not(inner) => Ok(self.matcher(on, inner, inside)?.negated()),
            IrMatcher::AnyOf(parts) => {
                let parts: Result<Vec<QueryAst>, SigmaError> =
                    parts.iter().map(|part| self.matcher(on, part, inside)).collect();
                Ok(QueryAst::any_of(parts?))
            }
            IrMatcher::AllOf(parts) => {
                let parts: Result<Vec<QueryAst>, SigmaError> =
                    parts.iter().map(|part| self.matcher(on, part, inside)).collect();
                Ok(QueryAst::all_of(parts?))
            }
        }
    }

    fn expand(&self, template: &[IrExpandPart]) -> Result<Vec<String>, SigmaError> {
        let mut texts = vec![String::new()];
        for part in template {
            match part {
                IrExpandPart::Literal(literal) => {
                    for text in &mut texts {
                        text.push_str(literal);
                    }
                }
                IrExpandPart::Placeholder(name) => {
                    let values = self
                        .vars
                        .get(name)
                        .filter(|values| !values.is_empty())
                        .ok_or_else(|| SigmaError::Placeholder(name.clone()))?;
                    texts = texts
                        .iter()
                        .flat_map(|before| values.iter().map(move |v| format!("{before}{v}")))
                        .collect();
                }
            }
        }
        Ok(texts)
    }

    /// Values without a field are looked for in every key and value, word by word: the first and
    /// the last word may be a part of a longer one, what stands between the words is not compared.
    fn keywords(&mut self, matcher: &IrMatcher) -> Lowered {
        let list = |parts: &[IrMatcher], this: &mut Self| {
            parts.iter().map(|part| this.keywords(part)).collect::<Result<Vec<QueryAst>, _>>()
        };
        match matcher {
            IrMatcher::AnyOf(parts) => Ok(QueryAst::any_of(list(parts, self)?)),
            IrMatcher::AllOf(parts) => Ok(QueryAst::all_of(list(parts, self)?)),
            IrMatcher::Not(inner) => Ok(self.keywords(inner)?.negated()),
            IrMatcher::Str { pattern, .. } => phrases(&glob_of(pattern)),
            IrMatcher::NumericEq(IrNumber::Literal(value)) => {
                Ok(QueryAst::Words(vec![WordPattern::Is(value.to_string())]))
            }
            IrMatcher::BoolEq(value) => {
                Ok(QueryAst::Words(vec![WordPattern::Is(value.to_string())]))
            }
            IrMatcher::Encoded { encodings, value, .. } => {
                let texts = encoded(encodings, value)?;
                let parts: Result<Vec<QueryAst>, SigmaError> =
                    texts.into_iter().map(|t| phrases(&[GlobPart::Text(t)])).collect();
                Ok(QueryAst::any_of(parts?))
            }
            _ => Err(SigmaError::Unsupported("this modifier on a value without a field".into())),
        }
    }
}

fn equals(text: &str, cased: bool) -> Test {
    Test::Equals { text: text.to_owned(), cased }
}

fn leaf(on: &Resolved, test: &Test) -> QueryAst {
    QueryAst::any_of(
        on.fields
            .iter()
            .map(|field| QueryAst::Field { field: field.clone(), test: test.clone() })
            .collect(),
    )
}

fn text_leaf(on: &Resolved, op: IrStrOp, parts: &[GlobPart], cased: bool) -> QueryAst {
    let mut glob: Vec<GlobPart> = Vec::with_capacity(parts.len() + 2);
    if matches!(op, IrStrOp::Contains | IrStrOp::EndsWith) {
        glob.push(GlobPart::AnyRun);
    }
    glob.extend_from_slice(parts);
    if matches!(op, IrStrOp::Contains | IrStrOp::StartsWith) {
        glob.push(GlobPart::AnyRun);
    }
    glob.dedup_by(|b, a| *a == GlobPart::AnyRun && *b == GlobPart::AnyRun);
    match glob.as_slice() {
        [] => {
            let empty = leaf(on, &equals("", cased));
            if on.empty_is_absent {
                return QueryAst::any_of(vec![leaf(on, &Test::Present).negated(), empty]);
            }
            empty
        }
        [GlobPart::Text(text)] => leaf(on, &equals(text, cased)),
        // As `field:*` in a query; the public rules say "exists" with it.
        [GlobPart::AnyRun] => leaf(on, &Test::Present),
        _ => leaf(on, &Test::Like { glob: Glob(glob), cased }),
    }
}

fn regex_leaf(on: &Resolved, pattern: &str, i: bool, m: bool, s: bool) -> Lowered {
    let flags: String =
        [(i, 'i'), (m, 'm'), (s, 's')].iter().filter(|(on, _)| *on).map(|(_, c)| *c).collect();
    let pattern =
        if flags.is_empty() { pattern.to_owned() } else { format!("(?{flags}){pattern}") };
    regex::Regex::new(&pattern)
        .map_err(|error| SigmaError::Unreadable(format!("regular expression: {error}")))?;
    Ok(leaf(on, &Test::Matches(pattern)))
}

/// Address fields know networks; on other fields a network is its address prefixes, as pySigma
/// expands it.
fn cidr_leaf(on: &Resolved, network: &str) -> Lowered {
    let net: IpNet = match network.parse() {
        Ok(net) => net,
        Err(_) => match network.parse::<std::net::IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => return Err(SigmaError::Unreadable(format!("{network} is no network"))),
        },
    };
    let mut parts = Vec::new();
    for field in &on.fields {
        let one = Resolved { fields: vec![field.clone()], empty_is_absent: false };
        if field.kind() == FieldKind::Address {
            let address = net.network();
            parts.push(leaf(&one, &Test::Network { address, prefix: net.prefix_len() }));
        } else {
            parts.push(prefix_leaf(&one, net)?);
        }
    }
    Ok(QueryAst::any_of(parts))
}

fn prefix_leaf(on: &Resolved, net: IpNet) -> Lowered {
    let IpNet::V4(net) = net else {
        return Err(SigmaError::Unsupported("|cidr with IPv6 on a field of text".into()));
    };
    let bits = net.prefix_len();
    let whole = bits.div_ceil(8);
    let variants = 1_u32 << (u32::from(whole) * 8 - u32::from(bits));
    debug_assert!(variants <= MAX_PREFIXES, "at most the bits of one octet vary");
    let first = u32::from(net.network());
    let mut parts = Vec::new();
    for n in 0..variants.min(MAX_PREFIXES) {
        let step = u32::from(32 - whole * 8);
        let address = first | n.checked_shl(step).unwrap_or(0);
        let octets: Vec<String> = address
            .to_be_bytes()
            .iter()
            .take(usize::from(whole))
            .map(std::string::ToString::to_string)
            .collect();
        let text = octets.join(".");
        if whole == 4 {
            parts.push(leaf(on, &equals(&text, false)));
        } else {
            let text = if text.is_empty() { text } else { format!("{text}.") };
            let glob = Glob(vec![GlobPart::Text(text), GlobPart::AnyRun]);
            parts.push(leaf(on, &Test::Like { glob, cased: false }));
        }
    }
    Ok(QueryAst::any_of(parts))
}

/// Parts of a time are read from its text: API servers write UTC as `YYYY-MM-DDThh:mm:ss...Z`.
fn time_part_leaf(on: &Resolved, part: IrTimePart, number: &str) -> Lowered {
    let value: u32 = number
        .parse()
        .map_err(|_| SigmaError::Unreadable(format!("{number} is no part of a time")))?;
    let pattern = match part {
        IrTimePart::Year => format!("{value:04}-*"),
        IrTimePart::Month => format!("????-{value:02}-*"),
        IrTimePart::Day => format!("????-??-{value:02}T*"),
        IrTimePart::Hour => format!("????-??-??T{value:02}:*"),
        IrTimePart::Minute => format!("????-??-??T??:{value:02}:*"),
        IrTimePart::Week => return Err(SigmaError::Unsupported("|week".into())),
    };
    let mut glob: Vec<GlobPart> = Vec::new();
    for c in pattern.chars() {
        match (c, glob.last_mut()) {
            ('*', _) => glob.push(GlobPart::AnyRun),
            ('?', _) => glob.push(GlobPart::AnyOne),
            (c, Some(GlobPart::Text(text))) => text.push(c),
            (c, _) => glob.push(GlobPart::Text(c.to_string())),
        }
    }
    let fields = on
        .fields
        .iter()
        .map(|field| match field {
            Field::Time => Field::path("requestReceivedTimestamp"),
            other => other.clone(),
        })
        .collect();
    let on = Resolved { fields, empty_is_absent: false };
    Ok(leaf(&on, &Test::Like { glob: Glob(glob), cased: false }))
}

fn glob_of(pattern: &IrPattern) -> Vec<GlobPart> {
    let mut parts: Vec<GlobPart> = Vec::with_capacity(pattern.parts.len());
    for part in &pattern.parts {
        match (part, parts.last_mut()) {
            (IrPatternPart::Literal(text), _) if text.is_empty() => {}
            (IrPatternPart::Literal(text), Some(GlobPart::Text(before))) => before.push_str(text),
            (IrPatternPart::Literal(text), _) => parts.push(GlobPart::Text(text.clone())),
            (IrPatternPart::WildcardMulti, _) => parts.push(GlobPart::AnyRun),
            (IrPatternPart::WildcardSingle, _) => parts.push(GlobPart::AnyOne),
        }
    }
    parts
}

/// The texts that a value with encoding modifiers stands for, the encodings applied in order.
fn encoded(encodings: &[IrEncoding], value: &str) -> Result<Vec<String>, SigmaError> {
    let mut texts: Vec<Vec<u8>> = vec![value.as_bytes().to_vec()];
    for encoding in encodings {
        let mut next: Vec<Vec<u8>> = Vec::new();
        for bytes in &texts {
            let text = String::from_utf8_lossy(bytes);
            match encoding {
                IrEncoding::Wide => next.push(encoding::utf16(&text, false, false)),
                IrEncoding::Utf16Be => next.push(encoding::utf16(&text, true, false)),
                IrEncoding::Utf16 => next.push(encoding::utf16(&text, false, true)),
                IrEncoding::Base64 => next.push(encoding::base64(bytes).into_bytes()),
                IrEncoding::Base64Offset => {
                    next.extend(
                        encoding::base64_offsets(bytes).into_iter().map(String::into_bytes),
                    );
                }
                IrEncoding::Windash => {
                    next.extend(encoding::windash(&text)?.into_iter().map(String::into_bytes));
                }
            }
        }
        texts = next;
    }
    Ok(texts.into_iter().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect())
}

/// The words of a keyword; `*` in it separates phrases that must all be there.
fn phrases(parts: &[GlobPart]) -> Lowered {
    let mut all = Vec::new();
    for segment in parts.split(|part| *part == GlobPart::AnyRun) {
        let words = segment_words(segment);
        if !words.is_empty() {
            all.push(QueryAst::Words(words));
        }
    }
    if all.is_empty() {
        return Err(SigmaError::Unsupported("a keyword without letters or digits".into()));
    }
    Ok(QueryAst::all_of(all))
}

fn segment_words(segment: &[GlobPart]) -> Vec<WordPattern> {
    // One list of parts per word; whether the segment begins and ends inside a word.
    let mut words: Vec<Vec<GlobPart>> = Vec::new();
    let mut open = false;
    let mut starts_inside = false;
    for (at, part) in segment.iter().enumerate() {
        match part {
            GlobPart::AnyRun => {}
            GlobPart::AnyOne => {
                if !open {
                    words.push(Vec::new());
                    starts_inside |= at == 0;
                }
                open = true;
                if let Some(word) = words.last_mut() {
                    word.push(GlobPart::AnyOne);
                }
            }
            GlobPart::Text(text) => {
                for (n, c) in text.chars().enumerate() {
                    if !c.is_alphanumeric() {
                        open = false;
                        continue;
                    }
                    if !open {
                        words.push(Vec::new());
                        starts_inside |= at == 0 && n == 0;
                    }
                    open = true;
                    match words.last_mut().map(|word| (word.last_mut().is_some(), word)) {
                        Some((true, word)) => match word.last_mut() {
                            Some(GlobPart::Text(before)) => before.push(c),
                            _ => word.push(GlobPart::Text(c.to_string())),
                        },
                        Some((false, word)) => word.push(GlobPart::Text(c.to_string())),
                        None => {}
                    }
                }
            }
        }
    }
    let last = words.len().saturating_sub(1);
    words
        .into_iter()
        .enumerate()
        .map(|(n, mut word)| {
            for part in &mut word {
                if let GlobPart::Text(text) = part {
                    *text = fold(text);
                }
            }
            if n == 0 && starts_inside {
                word.insert(0, GlobPart::AnyRun);
            }
            if n == last && open {
                word.push(GlobPart::AnyRun);
            }
            match word.as_slice() {
                [GlobPart::Text(text)] => WordPattern::Is(text.clone()),
                _ => WordPattern::Like(Glob(word)),
            }
        })
        .collect()
}

/// At least `n` of `parts`, as an Or over every choice of `n`.
fn at_least(parts: &[QueryAst], n: usize) -> Lowered {
    if n == 0 {
        return Ok(QueryAst::All);
    }
    let mut choices: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..n {
        choices = choices
            .iter()
            .flat_map(|choice| {
                let first = choice.last().map_or(0, |last| last + 1);
                (first..parts.len()).map(move |next| {
                    let mut choice = choice.clone();
                    choice.push(next);
                    choice
                })
            })
            .collect();
        if choices.len() > MAX_COMBINATIONS {
            return Err(SigmaError::Unsupported(format!("{n} of {} detections", parts.len())));
        }
    }
    Ok(QueryAst::any_of(
        choices
            .into_iter()
            .map(|choice| {
                QueryAst::all_of(choice.iter().filter_map(|at| parts.get(*at)).cloned().collect())
            })
            .collect(),
    ))
}
