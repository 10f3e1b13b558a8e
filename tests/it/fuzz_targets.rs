//! What must hold for any bytes at all: called by the fuzzer (fuzz/) and by tests/it/fuzz.rs.

use audithound::event::json::Json;
use audithound::event::json::Kind;
use audithound::event::json::Tape;
use audithound::event::json::parse_lenient;
use audithound::event::place::Origin;
use audithound::event::place::SourceId;
use audithound::intake::PieceReader;
use audithound::intake::parse::Scratch;
use audithound::intake::parse::Strictness;
use audithound::intake::parse::parse_json;
use audithound::intake::record::Met;
use audithound::query::parse::Files;
use audithound::query::parse::ParseOptions;
use audithound::query::parse::parse;
use audithound::query::print::print;
use audithound::source::Piece;
use audithound::source::SourceInfo;

/// A line is JSON or it is not, the same for the fast parser and the tolerant one, and every span of
/// the tape lies in the line.
pub fn parse_line(data: &[u8]) {
    let (mut scratch, mut fast, mut slow) = (Scratch::default(), Tape::default(), Tape::default());
    let strictness = parse_json(data, &mut scratch, &mut fast);
    let tolerant = parse_lenient(data, &mut slow);
    assert_eq!(strictness.is_ok(), tolerant.is_ok(), "{:?}", String::from_utf8_lossy(data));
    let Ok(strictness) = strictness else { return };
    assert_eq!(fast, slow);
    if strictness == Strictness::Strict {
        assert!(std::str::from_utf8(data).is_ok());
    }
    // Every value can be asked for its text, however deep, and none is read twice.
    let mut open: Vec<Json<'_>> = fast.root(data).into_iter().collect();
    let mut n_read = 0;
    while let Some(value) = open.pop() {
        n_read += 1;
        assert!(value.raw().len() <= data.len());
        match value.kind() {
            Kind::Object => {
                for (key, value) in value.entries() {
                    n_read += 1;
                    assert!(key.leaf_text().is_some());
                    open.push(value);
                }
            }
            Kind::Array => open.extend(value.elements()),
            Kind::Null => assert!(value.leaf_text().is_none()),
            _ => assert!(value.leaf_text().is_some()),
        }
    }
    assert_eq!(n_read, fast.nodes.len());
}

/// Whatever the format, every record is an event, blank or rejected; an event is JSON and stands
/// where its place says.
pub fn detect_format(data: &[u8]) {
    let piece = Piece::of_lines(SourceId(0), data.to_vec());
    let info = SourceInfo {
        id: SourceId(0),
        name: "fuzz".to_owned(),
        hint: Origin::default(),
        modified: None,
    };
    let mut met_records = 0_u64;
    let tally = PieceReader::new().read(&piece, &info, &mut |met, tape| {
        met_records += 1;
        match met {
            Met::Event(record) => {
                let mut own = Tape::default();
                assert!(parse_lenient(&record.event, &mut own).is_ok());
                assert_eq!(&own, tape);
                let start = record.place.offset as usize;
                assert_eq!(data.get(start..start + record.raw.len()), Some(record.raw));
                assert!(record.place.line >= 1);
            }
            Met::Rejected(rejected) => {
                assert!(rejected.place.offset as usize <= data.len());
                assert!(!rejected.reason.is_empty());
            }
            Met::Blank => {}
        }
    });
    assert!(tally.balances(), "{tally:?}");
    assert_eq!(tally.records, met_records);
    assert_eq!(tally.bytes, data.len() as u64);
}

/// A question is understood or refused with a place that can be shown; what was understood is
/// printed as a question that means the same.
pub fn parse_query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // No file of this machine is read because the fuzzer typed its name.
    let options = ParseOptions { files: Files::Refused };
    match parse(text, &options) {
        Ok(ast) => {
            let printed = print(&ast);
            match parse(&printed, &options) {
                Ok(again) => assert_eq!(again, ast, "{text:?} prints as {printed:?}"),
                Err(error) => panic!("{text:?} prints as {printed:?}: {}", error.render(&printed)),
            }
        }
        Err(error) => assert!(!error.render(text).is_empty()),
    }
}
