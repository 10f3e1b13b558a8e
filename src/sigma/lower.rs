//! Detections and conditions of a parsed rule become one question.

use std::collections::BTreeMap;
use std::collections::HashMap;

use rsigma_ir::IrCondition;
use rsigma_ir::IrDetection;
use rsigma_ir::IrDetectionItem;
use rsigma_ir::IrEncoding;
use rsigma_ir::IrMatcher;
use rsigma_ir::IrNumber;
use rsigma_ir::IrStrOp;
use rsigma_parser::ArrayQuantifier;
use rsigma_parser::Quantifier;

use crate::event::field::Field;
use crate::query::ast::Bound;
use crate::query::ast::GlobPart;
use crate::query::ast::Part;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::WordPattern;
use crate::sigma::error::SigmaError;
use crate::sigma::fields;
use crate::sigma::fields::Resolved;
use crate::sigma::leaf::Lowered;
use crate::sigma::leaf::cidr_leaf;
use crate::sigma::leaf::encoded;
use crate::sigma::leaf::equals;
use crate::sigma::leaf::glob_of;
use crate::sigma::leaf::leaf;
use crate::sigma::leaf::phrases;
use crate::sigma::leaf::regex_leaf;
use crate::sigma::leaf::text_leaf;
use crate::sigma::leaf::time_part_leaf;
use crate::sigma::rule::Flaw;
use crate::sigma::rule::NeededLevel;

/// Most combinations that `N of` may become.
const MAX_COMBINATIONS: usize = 4096;

/// Values of `%placeholders%`.
pub type Vars = BTreeMap<String, Vec<String>>;

/// Lowers one document; what it notices about the fields stays in it.
#[derive(Debug)]
pub struct Lowering {
    /// What the author should know.
    pub flaws: Vec<Flaw>,
    /// The highest level any field needs.
    pub needs: NeededLevel,
}

impl Lowering {
    /// Starts with nothing noticed.
    pub fn new() -> Lowering {
        Lowering { flaws: Vec::new(), needs: NeededLevel::Metadata }
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
            IrMatcher::FieldRef { field, op, case_insensitive } => {
                if inside {
                    let what = "|fieldref inside an element of an array";
                    return Err(SigmaError::Unsupported(what.into()));
                }
                let other = self.resolve(field, inside)?;
                let test = |other: &Field| match (part_of(*op), !case_insensitive) {
                    (Part::Whole, false) => Test::SameAs(other.clone()),
                    (part, cased) => Test::Holds { other: other.clone(), part, cased },
                };
                Ok(QueryAst::any_of(other.fields.iter().map(|f| leaf(on, &test(f))).collect()))
            }
            IrMatcher::BoolEq(value) => {
                Ok(leaf(on, &equals(if *value { "true" } else { "false" }, false)))
            }
            IrMatcher::Expand { .. } => {
                Err(SigmaError::Unsupported("a placeholder in this place".into()))
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

fn part_of(op: IrStrOp) -> Part {
    match op {
        IrStrOp::Exact => Part::Whole,
        IrStrOp::StartsWith => Part::Start,
        IrStrOp::Contains => Part::Middle,
        IrStrOp::EndsWith => Part::End,
    }
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
