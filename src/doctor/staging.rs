//! The sink behind the topics. What is wrong with it keeps nobody from writing; retention that is shorter than
//! the outage it has to bear is refused.

use super::{Finding, Verdict};
use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::staging::{Advice, Grade, Looker, advise};

/// One look; nothing where the configuration names no Kafka Connect.
pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let Some(settings) = app::staging_settings(config) else { return Vec::new() };
    let longest_outage = settings.longest_outage;
    let looker = Looker::new(settings, app::kafka_settings(config), Clock::start());
    let mut looker = match looker {
        Ok(looker) => looker,
        Err(error) => {
            return vec![Finding::warn("connect", error.to_string(), "mend staging.ca_file")];
        }
    };
    advise(&looker.look().await, longest_outage).into_iter().map(finding).collect()
}

fn finding(advice: Advice) -> Finding {
    let verdict = match advice.grade {
        Grade::Ok => Verdict::Ok,
        Grade::Unknown => Verdict::Skip,
        Grade::Look | Grade::Act => Verdict::Warn,
        Grade::Refuse => Verdict::Fail,
    };
    let Advice { about, found, remedy, .. } = advice;
    Finding { check: about, verdict, found, remedy }
}
