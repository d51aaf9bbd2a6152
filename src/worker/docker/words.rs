//! A text into words, as a shell splits them, without anything else that shells do.

/// Splits at white space. Quotes keep words together; a backslash keeps the next character as it is, and within double
/// quotes does so only before `"` and `\`.
///
/// # Errors
/// For a quote that is not closed, and a backslash at the end.
pub(super) fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some('"'), '\\') | (None, '\\') => {
                let next = rest.next().ok_or("a backslash stands at the end")?;
                let word = word.get_or_insert_default();
                if quote.is_some() && next != '"' && next != '\\' {
                    word.push('\\');
                }
                word.push(next);
            }
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    if quote.is_some() { Err("a quote is not closed") } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_shells_do_and_nothing_is_expanded() {
        for (text, expected) in [
            ("echo hi", vec!["echo", "hi"]),
            ("  a\t b\n", vec!["a", "b"]),
            ("sh -c 'a b; c'", vec!["sh", "-c", "a b; c"]),
            (r#""a \" \n" '' x'y'"z""#, vec![r#"a " \n"#, "", "xyz"]),
            (r"a\ b \$HOME $(x) *", vec!["a b", "$HOME", "$(x)", "*"]),
            ("", vec![]),
        ] {
            assert_eq!(
                split(text).as_deref(),
                Ok(&expected.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..]),
                "{text}"
            );
        }
        assert!(split("'a").is_err() && split("a\\").is_err() && split("\"a").is_err());
    }
}
