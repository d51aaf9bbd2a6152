//! Icons of whatever is on offer, and of the server itself.

use serde::Serialize;

/// The background that an icon is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IconTheme {
    /// A light background.
    Light,
    /// A dark background.
    Dark,
}

/// An image that clients may show, listed from 2025-11-25 on; older clients are not told of it.
///
/// `src` is an `https:` URL or a `data:` URI with Base64, because clients must refuse every other scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Icon {
    src: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sizes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    theme: Option<IconTheme>,
}

impl Icon {
    /// An icon at an `https:` URL, or in a `data:` URI.
    pub fn new(src: impl Into<String>) -> Icon {
        Icon { src: src.into(), mime_type: None, sizes: Vec::new(), theme: None }
    }

    /// The image's MIME type, such as `image/png`, where the source does not tell it.
    #[must_use]
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Icon {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// A size at which the icon can be used, in pixels such as `48x48`, or `any` for one that scales. May be called
    /// for several sizes; without one the icon fits every size.
    #[must_use]
    pub fn size(mut self, size: impl Into<String>) -> Icon {
        self.sizes.push(size.into());
        self
    }

    /// The background that the icon is made for; without it, any.
    #[must_use]
    pub fn theme(mut self, theme: IconTheme) -> Icon {
        self.theme = Some(theme);
        self
    }

    /// Checks the icon; the error is a sentence without its subject, whatever has the icon.
    pub(crate) fn check(&self) -> Result<(), String> {
        let scheme = self.src.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("https" | "data")) {
            let shown = crate::mcp::message::answer::excerpt(&self.src);
            return Err(format!("has the icon {shown:?}: an icon is an https: URL or a data: URI"));
        }
        if let Some(mime_type) = &self.mime_type {
            check_mime_type(mime_type)?;
        }
        match self.sizes.iter().find(|size| !is_size(size)) {
            Some(size) => Err(format!("has an icon of the size {size:?}: a size is like 48x48, or any")),
            None => Ok(()),
        }
    }
}

/// Checks a MIME type; the error is a sentence without its subject.
pub(crate) fn check_mime_type(mime_type: &str) -> Result<(), String> {
    let essence = mime_type.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    match essence.split_once('/') {
        Some((main, sub)) if token(main) && token(sub) => Ok(()),
        _ => Err(format!("has the MIME type {mime_type:?}: one is like text/plain")),
    }
}

fn is_size(size: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    size == "any" || size.split_once('x').is_some_and(|(width, height)| number(width) && number(height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_icon_says_what_it_was_told() {
        let icon = Icon::new("https://example.com/a.png").mime_type("image/png");
        let icon = icon.size("48x48").size("any").theme(IconTheme::Dark);
        icon.check().unwrap();
        let expected = json!({"src": "https://example.com/a.png", "mimeType": "image/png",
            "sizes": ["48x48", "any"], "theme": "dark"});
        assert_eq!(serde_json::to_value(icon).unwrap(), expected);
        assert_eq!(serde_json::to_value(Icon::new("data:,")).unwrap(), json!({"src": "data:,"}));
    }

    #[test]
    fn what_clients_must_refuse_is_refused_at_once() {
        for src in ["javascript:alert(1)", "http://example.com/a.png", "file:///a", "a.png", ""] {
            assert!(Icon::new(src).check().unwrap_err().contains("https:"), "{src}");
        }
        assert!(Icon::new("HTTPS://example.com").check().is_ok());
        for size in ["48", "48X48", "x", "", "48x48x48"] {
            assert!(Icon::new("data:,").size(size).check().unwrap_err().contains("48x48"), "{size}");
        }
        for mime_type in ["png", "image/", "image/p g", "/png"] {
            assert!(Icon::new("data:,").mime_type(mime_type).check().is_err(), "{mime_type}");
        }
        assert!(check_mime_type("text/plain; charset=utf-8").is_ok());
    }
}
