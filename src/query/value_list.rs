//! Lists of values in files (`field:@FILE`).

use std::net::IpAddr;

use crate::event::field::FieldKind;
use crate::event::words::fold;
use crate::query::address::network;
use crate::query::address::parse_address;
use crate::query::ast::ValueSet;

/// Reads a list of values: one a line, blank lines and lines that begin with `#` left out; on
/// address fields whatever stands behind a blank and `#` as well.
pub fn value_set(name: &str, bytes: &[u8], kind: FieldKind) -> ValueSet {
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes));
    let mut set = ValueSet { file: name.to_owned(), ..ValueSet::default() };
    for line in text.lines() {
        let mut value = line.trim();
        if value.is_empty() || value.starts_with('#') {
            continue;
        }
        if kind == FieldKind::Address {
            if let Some((before, _)) = value.split_once('#') {
                value = before.trim_end();
            }
            let whole = |address: IpAddr| {
                let bits = if address.is_ipv4() { 32 } else { 128 };
                (address, bits)
            };
            if let Some(found) = network(value).or_else(|| parse_address(value).map(whole)) {
                set.networks.push(found);
                continue;
            }
        }
        set.texts.push(fold(value));
    }
    set.texts.sort_unstable();
    set.texts.dedup();
    set.networks.sort_unstable();
    set.networks.dedup();
    set
}
