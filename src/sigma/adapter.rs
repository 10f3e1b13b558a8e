//! The only place that knows the libraries: rsigma-parser and rsigma-ir in, our own types out.

use std::collections::BTreeMap;

use rsigma_ir::IrRuleMetadata;
use rsigma_parser::ConditionExpr;
use rsigma_parser::ConditionOperator;
use rsigma_parser::CorrelationCondition;
use rsigma_parser::CorrelationType;
use rsigma_parser::FilterRuleTarget;
use rsigma_parser::SigmaCollection;
use rsigma_parser::Timespan;
use rsigma_parser::WindowMode;

use crate::event::field::Field;
use crate::query::ast::QueryAst;
use crate::sigma::error::SigmaError;
use crate::sigma::feasible::can_hold;
use crate::sigma::fields;
use crate::sigma::lower::Lowering;
use crate::sigma::lower::Vars;
use crate::sigma::placeholders;
use crate::sigma::rule::Comparison;
use crate::sigma::rule::Correlation;
use crate::sigma::rule::CorrelationKind;
use crate::sigma::rule::Flaw;
use crate::sigma::rule::GroupBy;
use crate::sigma::rule::Level;
use crate::sigma::rule::LogSource;
use crate::sigma::rule::Meta;
use crate::sigma::rule::NeededLevel;
use crate::sigma::rule::Presence;
use crate::sigma::rule::Rule;
use crate::sigma::rule::RuleSet;
use crate::sigma::rule::Unusable;
use crate::sigma::rule::Window;

/// A filter waits until all rules are known.
struct Filter {
    title: String,
    targets: Option<Vec<String>>,
    logsource: Option<LogSource>,
    question: QueryAst,
    needs: NeededLevel,
    flaws: Vec<Flaw>,
}

/// Parses Sigma documents, given as (file name, YAML text); nothing in one document keeps the
/// others from being used.
pub fn parse<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>, vars: &Vars) -> RuleSet {
    let mut set = RuleSet::default();
    let mut filters = Vec::new();
    for (file, text) in files {
        match rsigma_parser::parse_sigma_yaml(text) {
            Ok(collection) => take(&collection, file, vars, &mut set, &mut filters),
            Err(error) => {
                set.unusable.push(Unusable { file: file.to_owned(), why: error.to_string() });
            }
        }
    }
    apply_filters(&mut set, &filters);
    set
}

fn take(
    collection: &SigmaCollection,
    file: &str,
    vars: &Vars,
    set: &mut RuleSet,
    filters: &mut Vec<Filter>,
) {
    let unusable = |why: String| Unusable { file: file.to_owned(), why };
    if collection.is_empty() && !collection.has_errors() {
        set.unusable.push(unusable("no Sigma document in it".to_owned()));
    }
    set.unusable.extend(collection.errors.iter().cloned().map(unusable));
    for rule in &collection.rules {
        match detection_rule(rule, file, vars) {
            Ok(rule) => set.rules.push(rule),
            Err(error) => set.unusable.push(unusable(format!("{}: {error}", rule.title))),
        }
    }
    for correlation in &collection.correlations {
        match correlation_rule(correlation, file) {
            Ok(correlation) => set.correlations.push(correlation),
            Err(error) => set.unusable.push(unusable(format!("{}: {error}", correlation.title))),
        }
    }
    for filter in &collection.filters {
        match filter_rule(filter, vars) {
            Ok(filter) => filters.push(filter),
            Err(error) => set.unusable.push(unusable(format!("{}: {error}", filter.title))),
        }
    }
}

fn detection_rule(
    rule: &rsigma_parser::SigmaRule,
    file: &str,
    vars: &Vars,
) -> Result<Rule, SigmaError> {
    if rsigma_parser::is_unsupported(rule.sigma_version) {
        return Err(SigmaError::Unsupported("a newer version of Sigma".into()));
    }
    let mut expanded = None;
    let mut without_values = None;
    if placeholders::any(&rule.detection) {
        let mut own = rule.clone();
        match placeholders::expand(&mut own.detection, vars) {
            Ok(()) => expanded = Some(own),
            Err(error) => without_values = Some(error),
        }
    }
    let options = rsigma_ir::LowerOptions::default();
    let ir = rsigma_ir::lower_rule(expanded.as_ref().unwrap_or(rule), &options)
        .map_err(|error| SigmaError::Unreadable(error.to_string()))?;
    let meta = meta(&ir.metadata, file);
    let mut lowering = Lowering::new();
    let question = match without_values {
        Some(error) => Err(error),
        None => lowering.conditions(&ir.conditions, &ir.detections),
    };
    let question = match question {
        Ok(question) => question,
        // The document is good Sigma; only this rule cannot be asked.
        Err(error @ (SigmaError::Unsupported(_) | SigmaError::Placeholder(_))) => {
            lowering.flaws.push(Flaw { fatal: true, text: error.to_string() });
            QueryAst::All.negated()
        }
        Err(error) => return Err(error),
    };
    let mut flaws = lowering.flaws;
    if rule.detection.timeframe.is_some() {
        let text = "timeframe without a correlation has no effect".to_owned();
        flaws.push(Flaw { fatal: false, text });
    }
    let mut notes = Vec::new();
    let possible = can_hold(&question, &mut notes);
    flaws.extend(notes.into_iter().map(|text| Flaw { fatal: !possible, text }));
    let declared =
        meta.own("needs").and_then(serde_json::Value::as_str).and_then(NeededLevel::parse);
    Ok(Rule {
        logsource: logsource(&ir.logsource),
        question,
        needs: declared.unwrap_or(lowering.needs),
        flaws,
        meta,
    })
}

fn filter_rule(filter: &rsigma_parser::FilterRule, vars: &Vars) -> Result<Filter, SigmaError> {
    let mut expanded = filter.clone();
    placeholders::expand(&mut expanded.detection, vars)?;
    let ir = rsigma_ir::lower::lower_filter(&expanded, &rsigma_ir::LowerOptions::default())
        .map_err(|error| SigmaError::Unreadable(error.to_string()))?;
    let mut lowering = Lowering::new();
    let question = lowering.conditions(&ir.conditions, &ir.detections)?;
    Ok(Filter {
        title: filter.title.clone(),
        targets: match &filter.rules {
            FilterRuleTarget::Any => None,
            FilterRuleTarget::Specific(targets) => Some(targets.clone()),
        },
        logsource: filter.logsource.as_ref().map(logsource),
        question,
        needs: lowering.needs,
        flaws: lowering.flaws,
    })
}

/// A filter's condition holds in addition to the rule's (specification, Filters).
fn apply_filters(set: &mut RuleSet, filters: &[Filter]) {
    for filter in filters {
        if let Some(targets) = &filter.targets {
            for target in targets {
                if !set.rules.iter().any(|rule| rule.meta.is_called(target)) {
                    set.dangling_filters.push((filter.title.clone(), target.clone()));
                }
            }
        }
        for rule in &mut set.rules {
            let wanted = filter
                .targets
                .as_ref()
                .is_none_or(|targets| targets.iter().any(|t| rule.meta.is_called(t)))
                && filter.logsource.as_ref().is_none_or(|source| covers(source, &rule.logsource));
            if wanted {
                let own = std::mem::replace(&mut rule.question, QueryAst::All);
                rule.question = QueryAst::all_of(vec![own, filter.question.clone()]);
                rule.needs = rule.needs.max(filter.needs);
                rule.flaws.extend(filter.flaws.iter().cloned());
            }
        }
    }
}

fn covers(filter: &LogSource, rule: &LogSource) -> bool {
    let same = |a: &Option<String>, b: &Option<String>| a.is_none() || a == b;
    same(&filter.product, &rule.product)
        && same(&filter.service, &rule.service)
        && same(&filter.category, &rule.category)
}

fn correlation_rule(
    rule: &rsigma_parser::CorrelationRule,
    file: &str,
) -> Result<Correlation, SigmaError> {
    let ir = rsigma_ir::lower::lower_correlation(rule)
        .map_err(|error| SigmaError::Unreadable(error.to_string()))?;
    if ir.rules.is_empty() {
        return Err(SigmaError::Unreadable("a correlation of no rules".into()));
    }
    let mut flaws = Vec::new();
    let mut group_by = Vec::new();
    for name in &ir.group_by {
        let mut by_rule = BTreeMap::new();
        match ir.aliases.iter().find(|alias| alias.alias == *name) {
            Some(alias) => {
                for (reference, field) in &alias.mapping {
                    by_rule.insert(reference.clone(), correlation_field(field, &mut flaws));
                }
            }
            None => {
                by_rule.insert("*".to_owned(), correlation_field(name, &mut flaws));
            }
        }
        group_by.push(GroupBy { name: name.clone(), fields: by_rule });
    }
    let (predicates, names, percentile, presence) = match &ir.condition {
        CorrelationCondition::Threshold { predicates, field, percentile } => {
            let predicates = predicates.iter().map(|(op, n)| (comparison(*op), *n as f64));
            let names = field.clone().unwrap_or_default();
            (predicates.collect(), names, percentile.unwrap_or(50) as f64, None)
        }
        CorrelationCondition::Extended(expression) => {
            (Vec::new(), Vec::new(), 50.0, Some(presence(expression)?))
        }
    };
    let value_fields =
        names.iter().filter_map(|name| correlation_field(name, &mut flaws).into_iter().next());
    let value_fields: Vec<Field> = value_fields.collect();
    let kind = kind(ir.correlation_type);
    let needs_values = !matches!(
        kind,
        CorrelationKind::EventCount | CorrelationKind::Temporal | CorrelationKind::TemporalOrdered
    );
    if needs_values && value_fields.is_empty() {
        return Err(SigmaError::Unreadable(format!("{} without a field", kind.name())));
    }
    Ok(Correlation {
        meta: meta(&ir.metadata, file),
        kind,
        rules: ir.rules.clone(),
        group_by,
        timespan: micros(&ir.timespan),
        window: match ir.window {
            WindowMode::Sliding => Window::Sliding,
            WindowMode::Tumbling => Window::Tumbling,
            WindowMode::Session => Window::Session(ir.gap.as_ref().map_or(0, micros)),
        },
        predicates,
        value_fields,
        percentile,
        presence,
        generate: ir.generate,
        flaws,
    })
}

fn correlation_field(name: &str, flaws: &mut Vec<Flaw>) -> Vec<Field> {
    match fields::resolve(name) {
        Some(resolved) => resolved.fields,
        None => {
            let text = format!("field {name} is not a field of an audit event");
            flaws.push(Flaw { fatal: true, text });
            vec![Field::path(name)]
        }
    }
}

fn presence(expression: &ConditionExpr) -> Result<Presence, SigmaError> {
    let list = |parts: &[ConditionExpr]| parts.iter().map(presence).collect::<Result<Vec<_>, _>>();
    Ok(match expression {
        ConditionExpr::Identifier(name) => Presence::Rule(name.clone()),
        ConditionExpr::And(parts) => Presence::And(list(parts)?),
        ConditionExpr::Or(parts) => Presence::Or(list(parts)?),
        ConditionExpr::Not(inner) => Presence::Not(Box::new(presence(inner)?)),
        ConditionExpr::Selector { .. } => {
            return Err(SigmaError::Unsupported("'of' in the condition of a correlation".into()));
        }
    })
}

fn micros(span: &Timespan) -> i64 {
    i64::try_from(span.seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}

fn comparison(operator: ConditionOperator) -> Comparison {
    match operator {
        ConditionOperator::Lt => Comparison::Less,
        ConditionOperator::Lte => Comparison::LessOrEqual,
        ConditionOperator::Gt => Comparison::Greater,
        ConditionOperator::Gte => Comparison::GreaterOrEqual,
        ConditionOperator::Eq => Comparison::Equal,
        ConditionOperator::Neq => Comparison::NotEqual,
    }
}

fn kind(kind: CorrelationType) -> CorrelationKind {
    match kind {
        CorrelationType::EventCount => CorrelationKind::EventCount,
        CorrelationType::ValueCount => CorrelationKind::ValueCount,
        CorrelationType::Temporal => CorrelationKind::Temporal,
        CorrelationType::TemporalOrdered => CorrelationKind::TemporalOrdered,
        CorrelationType::ValueSum => CorrelationKind::ValueSum,
        CorrelationType::ValueAvg => CorrelationKind::ValueAvg,
        CorrelationType::ValuePercentile => CorrelationKind::ValuePercentile,
        CorrelationType::ValueMedian => CorrelationKind::ValueMedian,
    }
}

fn logsource(source: &rsigma_parser::LogSource) -> LogSource {
    LogSource {
        category: source.category.clone(),
        product: source.product.clone(),
        service: source.service.clone(),
    }
}

fn meta(ir: &IrRuleMetadata, file: &str) -> Meta {
    Meta {
        title: ir.title.clone(),
        id: ir.id.clone(),
        name: ir.name.clone(),
        level: ir.level.and_then(|level| Level::parse(level.as_str())).unwrap_or_default(),
        status: ir.status.map(|status| format!("{status:?}").to_ascii_lowercase()),
        description: ir.description.clone(),
        author: ir.author.clone(),
        date: ir.date.clone(),
        license: ir.license.clone(),
        references: ir.references.clone(),
        tags: ir.tags.clone(),
        falsepositives: ir.falsepositives.clone(),
        custom: ir.custom_attributes.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        file: file.to_owned(),
    }
}
