//! stub
/// stub
pub fn decoded_query_part(_uri: &str) -> Option<String> {
    None
}
