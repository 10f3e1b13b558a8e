//! Reads what the query part of a requestURI carries: the argv of an exec, pages, selectors.

/// Decodes `%XX` and `+` of a query part; broken escapes stay as they are.
pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = bytes
            .get(at + 1..at + 3)
            .filter(|_| byte == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escape {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Splits the query part of a request URI into decoded pairs, in order.
pub fn query_pairs(uri: &str) -> Vec<(String, String)> {
    let Some((_, query)) = uri.split_once('?') else { return Vec::new() };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(key), percent_decode(value))
        })
        .collect()
}

/// All values of one key of the query part, decoded, in order.
pub fn query_values(uri: &str, key: &str) -> Vec<String> {
    let pairs = query_pairs(uri).into_iter().filter(|(name, _)| name == key);
    pairs.map(|(_, value)| value).collect()
}

/// The argv of an exec: repeated `command=` in order.
pub fn argv(uri: &str) -> Vec<String> {
    query_values(uri, "command")
}

/// What a `continue` token says: the resource version of the dump and the last name returned
/// (k8s.io/apiserver pkg/storage/continue.go: base64url of `{"v","rv","start"}`).
pub fn continue_token(uri: &str) -> Option<(u64, String)> {
    use base64::Engine as _;
    let token = query_values(uri, "continue").into_iter().find(|token| !token.is_empty())?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token.trim_end_matches('=').as_bytes())
        .ok()?;
    let mut tape = crate::event::json::Tape::default();
    crate::event::json::parse_lenient(&bytes, &mut tape).ok()?;
    let root = tape.root(&bytes)?;
    let version = root.text_at(&["rv"])?.parse().ok()?;
    Some((version, root.text_at(&["start"]).unwrap_or_default().trim_matches('\0').to_owned()))
}

/// An argv as one line, with quotes where a word needs them.
pub fn join_argv(argv: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "/-_.,:=@%+".contains(c))
    };
    let words: Vec<String> =
        argv.iter()
            .map(|word| {
                if plain(word) {
                    word.clone()
                } else {
                    format!("'{}'", word.replace('\'', r"'\''"))
                }
            })
            .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        assert_eq!(
            query_pairs("/x?a=b%2Fc&dryRun=All&&d+e"),
            [("a", "b/c"), ("dryRun", "All"), ("d e", "")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        assert_eq!(query_pairs("/x"), []);
    }

    #[test]
    fn the_argv_of_an_exec_is_decoded() {
        let uri = "/api/v1/namespaces/n/pods/p/exec?command=%2Fbin%2Fsh&command=-c&command=TERM%3D%22xterm%22+%2Fbin%2Fsh&container=1";
        assert_eq!(argv(uri), ["/bin/sh", "-c", "TERM=\"xterm\" /bin/sh"]);
        assert_eq!(join_argv(&argv(uri)), "/bin/sh -c 'TERM=\"xterm\" /bin/sh'");
        assert_eq!(query_values(uri, "container"), ["1"]);
    }

    #[test]
    fn broken_escapes_stay() {
        assert_eq!(percent_decode("%zz%4%+a%41"), "%zz%4% aA");
        assert_eq!(percent_decode("%C3%A9%ff"), "é\u{FFFD}");
        assert_eq!(percent_decode("%+1"), "% 1");
    }

    #[test]
    fn a_continue_token_tells_version_and_last_name() {
        use base64::Engine as _;
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(r#"{"v":"meta.k8s.io/v1","rv":10644665,"start":"openshift-x/name\u0000"}"#);
        let uri = format!("/api/v1/secrets?continue={token}&limit=500");
        assert_eq!(continue_token(&uri), Some((10_644_665, "openshift-x/name".to_owned())));
        assert_eq!(continue_token("/api/v1/secrets?continue=!!"), None);
        assert_eq!(continue_token("/api/v1/secrets?limit=500"), None);
    }
}
