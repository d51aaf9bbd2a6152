//! URI templates: the part of RFC 6570 that can be read backwards without doubt.
//!
//! A template is literal text and variables: `{name}` stands for one piece of a path, `{+name}`, which only the last
//! variable may be, for any text. Matching walks the URI once; its time grows with the URI's length alone.

use crate::mcp::offer::uri;

/// More variables than anyone needs.
const MAX_VARIABLES: usize = 32;

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UriTemplate {
    text: String,
    /// What stands before the first variable.
    prefix: String,
    /// The variables, each with the literal that follows it.
    variables: Vec<Variable>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Variable {
    name: String,
    /// Written `{+name}`: the value may contain `/` and other reserved characters.
    reserved: bool,
    literal: String,
}

impl UriTemplate {
    /// Reads a template; the error is a sentence without its subject.
    pub(crate) fn parse(text: &str) -> Result<UriTemplate, String> {
        let Some((prefix, mut rest)) = text.split_once('{') else {
            return Err("has no variable: register a resource with this URI instead".to_owned());
        };
        uri::check_scheme(prefix)?;
        check_literal(prefix)?;
        let mut variables: Vec<Variable> = Vec::new();
        loop {
            let (expression, behind) = rest.split_once('}').ok_or("has a { without its }")?;
            let (literal, next) = match behind.split_once('{') {
                Some((literal, next)) => (literal, Some(next)),
                None => (behind, None),
            };
            check_literal(literal)?;
            variables.push(variable(expression, literal, &variables, next.is_none())?);
            match next {
                Some(next) => rest = next,
                None => break,
            }
        }
        Ok(UriTemplate { text: text.to_owned(), prefix: prefix.to_owned(), variables })
    }

    /// The template as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the variables, in order.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|variable| variable.name.as_str())
    }

    /// The decoded value of each variable in a URI that the template can make; `None` for any other URI.
    ///
    /// Each literal is found at its first place. As no `{name}` reaches across a `/` and only the last variable may
    /// reach further, a later place could never match where the first does not.
    pub(crate) fn matches(&self, uri: &str) -> Option<Vec<(&str, String)>> {
        let mut rest = uri.strip_prefix(self.prefix.as_str())?;
        let mut values = Vec::with_capacity(self.variables.len());
        let mut before = self.prefix.as_str();
        for (index, variable) in self.variables.iter().enumerate() {
            let last = index + 1 == self.variables.len();
            let end = match last {
                true => rest.strip_suffix(variable.literal.as_str())?.len(),
                false => first_char(rest)? + rest[first_char(rest)?..].find(variable.literal.as_str())?,
            };
            let value = variable.value(&rest[..end], before)?;
            values.push((variable.name.as_str(), value));
            rest = &rest[end + variable.literal.len()..];
            before = &variable.literal;
        }
        Some(values)
    }
}

impl Variable {
    /// The value that a piece of a URI stands for, unless it is one that could lead a path astray.
    fn value(&self, piece: &str, before: &str) -> Option<String> {
        if piece.is_empty() || (!self.reserved && piece.contains(['/', '?', '#'])) {
            return None;
        }
        let value = uri::decode(piece)?;
        let astray = value.contains(char::is_control)
            || value.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
            || (!self.reserved && value.contains(['/', '\\']))
            // A path that becomes absolute only because the client doubled the slash.
            || (before.ends_with('/') && value.starts_with(['/', '\\']));
        (!astray).then_some(value)
    }
}

fn variable(expression: &str, literal: &str, before: &[Variable], last: bool) -> Result<Variable, String> {
    let reserved = expression.starts_with('+');
    let name = expression.strip_prefix('+').unwrap_or(expression);
    let valid = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        && !name.starts_with(['.', '-']);
    if !valid {
        return Err(format!(
            "has the expression {{{expression}}}: use {{name}}, or {{+name}} for text with slashes, with a name of \
             A-Z, a-z, 0-9, _, . and -"
        ));
    }
    if reserved && !last {
        return Err(format!("has {{{expression}}} before another variable; only the last one can be such"));
    }
    if !last && literal.is_empty() {
        return Err(format!("has nothing between {{{expression}}} and the next variable to tell them apart"));
    }
    if before.iter().any(|variable| variable.name == name) {
        return Err(format!("has the variable {name} twice"));
    }
    if before.len() == MAX_VARIABLES {
        return Err(format!("has more than {MAX_VARIABLES} variables"));
    }
    Ok(Variable { name: name.to_owned(), reserved, literal: literal.to_owned() })
}

fn check_literal(literal: &str) -> Result<(), String> {
    match literal.contains('}') {
        true => Err("has a } without its {".to_owned()),
        false => uri::check_characters(literal),
    }
}

/// Where the second character begins; no value is empty.
fn first_char(text: &str) -> Option<usize> {
    text.chars().next().map(char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(template: &str, uri: &str) -> Option<Vec<String>> {
        let template = UriTemplate::parse(template).unwrap();
        template.matches(uri).map(|values| values.into_iter().map(|(_, value)| value).collect())
    }

    fn some(values: &[&str]) -> Option<Vec<String>> {
        Some(values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn variables_are_found_and_decoded() {
        assert_eq!(values("test://template/{id}/data", "test://template/123/data"), some(&["123"]));
        assert_eq!(values("x:{a}-{b}", "x:1-2-3"), some(&["1", "2-3"]));
        assert_eq!(values("x:{a}.json", "x:a.json.json"), some(&["a.json"]));
        assert_eq!(values("x:{a}", "x:a%20b%C3%BC"), some(&["a bü"]));
        assert_eq!(values("x:{a}", "x:ü"), some(&["ü"]));
        assert_eq!(values("repo://{owner}/{+path}", "repo://me/src/a.rs"), some(&["me", "src/a.rs"]));
        assert_eq!(values("http://host{+path}/here", "http://host/a/b/here"), some(&["/a/b"]));
    }

    #[test]
    fn other_uris_do_not_match() {
        for (template, uri) in [
            ("test://template/{id}/data", "test://template//data"),
            ("test://template/{id}/data", "test://template/1/2/data"),
            ("test://template/{id}/data", "test://template/1/dat"),
            ("test://template/{id}/data", "test://template/1"),
            ("test://template/{id}/data", "test://other/1/data"),
            ("x:{a}-{b}", "x:1-"),
            ("x:{a}-{b}", "x:-1"),
            ("x:{a}/{b}", "x:a/b/c"),
            ("x:{a}", "x:a?b"),
            ("x:{a}", "x:%ff"),
            ("x:{a}", "x:%2"),
            ("x:{a}/e", "x:/e"),
        ] {
            assert_eq!(values(template, uri), None, "{template} {uri}");
        }
    }

    #[test]
    fn no_value_leads_a_path_astray() {
        for uri in [
            "file:///d/..",
            "file:///d/%2e%2e",
            "file:///d/.",
            "file:///d/a%2Fb",
            "file:///d/a%5Cb",
            "file:///d/%00",
        ] {
            assert_eq!(values("file:///d/{name}", uri), None, "{uri}");
        }
        for uri in [
            "file:///d/../a",
            "file:///d/a/..",
            "file:///d/a/%2E%2e/b",
            "file:///d/a%2f..%2fb",
            "file:///d/a/..%5cb",
            "file:///d//etc/passwd",
            "file:///d/%2fetc/passwd",
            "file:///d/./a",
        ] {
            assert_eq!(values("file:///d/{+path}", uri), None, "{uri}");
        }
        assert_eq!(values("file:///d/{+path}", "file:///d/a/b..c/...d"), some(&["a/b..c/...d"]));
    }

    #[test]
    fn a_template_is_checked() {
        for (template, why) in [
            ("test://plain", "no variable"),
            ("{scheme}://x", "scheme"),
            ("plain/{id}", "scheme"),
            ("x:{id", "without its }"),
            ("x:id}{a}", "without its {"),
            ("x:{}", "{}"),
            ("x:{?q}", "{?q}"),
            ("x:{a,b}", "{a,b}"),
            ("x:{a*}", "{a*}"),
            ("x:{a:3}", "{a:3}"),
            ("x:{a}{b}", "tell them apart"),
            ("x:{a}/{a}", "twice"),
            ("x:{+a}/{b}", "only the last"),
            ("x:{a} b", "' '"),
            ("x:{a}%2", "hexadecimal"),
        ] {
            let error = UriTemplate::parse(template).unwrap_err();
            assert!(error.contains(why), "{template}: {error}");
        }
        let many: String = (0..40).map(|index| format!("/{{v{index}}}")).collect();
        assert!(UriTemplate::parse(&format!("x:{many}")).unwrap_err().contains("more than 32"));
        let template = UriTemplate::parse("x:{a}/{b.c-d}").unwrap();
        assert_eq!(
            (template.variables().collect::<Vec<_>>(), template.as_str()),
            (vec!["a", "b.c-d"], "x:{a}/{b.c-d}")
        );
    }

    #[test]
    fn what_a_template_makes_of_values_leads_back_to_them() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % bound
        };
        // Without the characters between the variables, which values may have only percent-encoded.
        let alphabet: Vec<char> = "abcAZ09._~ %?#&é世{}\"".chars().collect();
        let template = UriTemplate::parse("x://{a}-{b}/{c}!end").unwrap();
        for _ in 0..2_000 {
            let mut made = |end: &str| -> String {
                let text: String = (0..=random(6)).map(|_| alphabet[random(alphabet.len())]).collect();
                format!("{text}{end}")
            };
            let values = [made("x"), made("x"), made("x")];
            let encoded: Vec<String> = values.iter().map(|value| encode(value)).collect();
            let uri = format!("x://{}-{}/{}!end", encoded[0], encoded[1], encoded[2]);
            let found = template.matches(&uri).unwrap_or_else(|| panic!("{uri}"));
            assert_eq!(found.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), values, "{uri}");
        }
    }

    /// What RFC 6570 makes of a value: everything but unreserved characters percent-encoded.
    fn encode(value: &str) -> String {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        value.bytes().map(byte).collect()
    }

    #[test]
    fn a_hostile_uri_costs_no_more_than_its_length() {
        let template = UriTemplate::parse("x:{a}a{b}a{c}a{d}a{e}/end").unwrap();
        let begin = std::time::Instant::now();
        assert!(template.matches(&format!("x:{}", "a".repeat(1 << 20))).is_none());
        assert!(begin.elapsed() < std::time::Duration::from_secs(2));
    }
}
