//! HTML under construction: what comes from outside can only be added as text.

use std::fmt::{Display, Write as _};

/// Markup so far.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Markup of ours, as it stands in the source.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Anything else, escaped for text and for attributes in double quotes.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        let mut escaped = Escaped(&mut self.0);
        _ = write!(escaped, "{text}"); // a string takes everything
        self
    }

    /// What was made.
    pub(super) fn done(self) -> String {
        self.0
    }
}

struct Escaped<'a>(&'a mut String);

impl std::fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for sign in text.chars() {
            match sign {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_opens_no_element_and_leaves_no_attribute() {
        let mut markup = Markup::default();
        markup
            .raw("<p title=\"")
            .text("\" onclick='x")
            .raw("\">")
            .text("<script>&amp;")
            .raw("</p>");
        assert_eq!(markup.done(), "<p title=\"&quot; onclick=&#39;x\">&lt;script&gt;&amp;amp;</p>");
    }
}
