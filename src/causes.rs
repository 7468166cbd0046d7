//! Errors of libraries in words: every cause once, and what to do where no text of theirs says it.

use std::error::Error;

/// An error and its causes on one line. What a text already quotes of its cause is not said again.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = inner.source();
    }
    text
}

/// Why a client of requests cannot be made. Without a single authority it is refused even where no
/// connection is encrypted (observed).
#[must_use]
pub fn unmade(error: &dyn Error) -> String {
    let text = chain(error);
    if text.contains(NO_AUTHORITY) {
        return "this machine has no certificate authorities: install its ca-certificates, let SSL_CERT_FILE name a PEM file with them, or name one as ca_file".to_owned();
    }
    text
}

/// The words of rustls-platform-verifier.
const NO_AUTHORITY: &str = "No CA certificates were loaded";

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Self>>);

    fn error(texts: &[&'static str]) -> Layer {
        let mut layers =
            texts.iter().rev().fold(None, |inner, text| Some(Box::new(Layer(text, inner))));
        *layers.take().expect("a text")
    }

    #[test]
    fn every_cause_is_said_once() {
        let layers = error(&["no answer: refused", "refused", "os error 111"]);
        assert_eq!(chain(&layers), "no answer: refused: os error 111");
    }

    #[test]
    fn a_machine_without_authorities_is_told_what_to_do() {
        let layers = error(&[
            "builder error",
            "unexpected error: No CA certificates were loaded from the system",
        ]);
        let text = unmade(&layers);
        for part in ["no certificate authorities", "ca-certificates", "SSL_CERT_FILE", "ca_file"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("builder"), "{text}");
        assert_eq!(unmade(&error(&["builder error", "bad key"])), "builder error: bad key");
    }
}
