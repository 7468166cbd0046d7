//! Why brokers do not answer. A call that waits for them only says that it waited in vain; the reasons are
//! events, which reach whoever polls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode as Code};

use super::quiet;
use super::settings::KafkaSettings;

/// Time for brokers to refuse us once more.
const PATIENCE: Duration = Duration::from_secs(2);
/// Events that may lie before the one that says most.
const POLLS: usize = 20;
/// What a reason holds that says we are not let in, and not merely that a connection ended.
const REFUSALS: [&str; 3] = ["SSL", "SASL", "uthenticat"];

/// The reason why no broker answers, after a colon, or nothing where none is told. Blocks.
pub(super) fn why(settings: &KafkaSettings) -> String {
    let heard = Overheard::default();
    let created =
        settings.client().create_with_context::<_, BaseConsumer<Overheard>>(heard.clone());
    let Ok(consumer) = created else { return String::new() };
    if consumer.fetch_metadata(None, PATIENCE).is_err() {
        for _ in 0..POLLS {
            if consumer.poll(PATIENCE / 10).is_none() {
                break;
            }
        }
    }
    heard.said()
}

#[derive(Clone, Default)]
struct Overheard(Arc<Mutex<String>>);

impl Overheard {
    fn said(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() { String::new() } else { format!(": {kept}") }
    }

    fn keep(&self, reason: &str) {
        let is_refusal = |text: &str| REFUSALS.iter().any(|word| text.contains(word));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_refusal(reason) || !is_refusal(&kept) {
            reason.clone_into(&mut kept);
        }
    }
}

impl ClientContext for Overheard {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        quiet::line(facility, text);
    }

    fn error(&self, error: RdError, reason: &str) {
        if error.rdkafka_error_code() != Some(Code::AllBrokersDown) {
            self.keep(reason);
        }
        quiet::line(&error.to_string(), reason);
    }
}

impl ConsumerContext for Overheard {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_before_what_follows_from_it() {
        let heard = Overheard::default();
        assert_eq!(heard.said(), "");
        heard.keep("a: Connect to a failed: Connection refused");
        assert_eq!(heard.said(), ": a: Connect to a failed: Connection refused");
        heard.keep("a: SASL authentication error: Authentication failed");
        heard.keep("a: Disconnected");
        assert_eq!(heard.said(), ": a: SASL authentication error: Authentication failed");
    }
}
