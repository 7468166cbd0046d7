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
        let plain = text.to_string();
        for sign in plain.chars() {
            match sign {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        self
    }

    /// `<td>` and a text.
    pub(super) fn cell(&mut self, text: impl Display) -> &mut Self {
        self.raw("<td>").text(text)
    }

    /// A name and its value, with a remark.
    pub(super) fn gauge(&mut self, name: &'static str, value: u64, remark: impl Display) {
        self.raw("<div><dt>").raw(name).raw("</dt><dd><b>").text(thousands(value));
        self.raw("</b><small>").text(remark).raw("</small></dd></div>");
    }

    /// What was made.
    pub(super) fn done(self) -> String {
        self.0
    }
}

/// `12,345`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 channel`, `2 channels`.
pub(super) fn count(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", thousands(number as u64))
}

/// A duration in two units at most.
pub(super) fn span(ms: u64) -> String {
    let secs = ms / 1000;
    let mut text = match secs {
        0 => return format!("{ms} ms"),
        1..60 => return format!("{secs} s"),
        60..3_600 => format!("{} min", secs / 60),
        _ => format!("{} h", secs / 3_600),
    };
    let rest = if secs < 3_600 { (secs % 60, "s") } else { (secs / 60 % 60, "min") };
    if rest.0 > 0 {
        _ = write!(text, " {} {}", rest.0, rest.1); // a string takes everything
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_opens_no_element_and_leaves_no_attribute() {
        let mut markup = Markup::default();
        markup.raw("<p title=\"").text("\" onclick='x").raw("\">").text("<b>&amp;").raw("</p>");
        assert_eq!(markup.done(), "<p title=\"&quot; onclick=&#39;x\">&lt;b&gt;&amp;amp;</p>");
    }

    #[test]
    fn numbers_and_durations_are_for_people() {
        let numbers = [0, 999, 1_000, 1_234_567].map(thousands);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        let spans = [0, 999, 1_000, 61_000, 120_000, 3_600_000, 86_340_000].map(span);
        assert_eq!(spans, ["0 ms", "999 ms", "1 s", "1 min 1 s", "2 min", "1 h", "23 h 59 min"]);
        assert_eq!([count(1, "channel"), count(2, "channel")], ["1 channel", "2 channels"]);
    }
}
