//! Correct reconnecting with the machines of this crate, in one screen. Nothing here waits: the
//! driver of your choice sends what is asked for and tells the machine what came of it.
#![allow(clippy::print_stdout, reason = "an example that shows what it does")]

use std::collections::BTreeSet;
use std::time::Duration;

use trunkline_protocol::channel::{Action, ChannelInfo, Input, Step};
use trunkline_protocol::domain::{Dice, EndReason, Mono};
use trunkline_protocol::rotation::Leg;
use trunkline_protocol::subscriptions::Answered;
use trunkline_protocol::timings::Timings;

fn main() {
    let topics = BTreeSet::from(["v2.routing.queues.1.conversations".to_owned()]);
    let (mut now, mut dice) = (Mono(0), Dice::new(1));
    let mut leg = Leg::new(Timings::default(), 0, topics.clone(), now);
    let mut cuts = 3;
    while cuts > 0 {
        while let Some(action) = leg.poll() {
            println!("{:>5.1} s  {:?}", now.since(Mono(0)).as_secs_f64(), action.what);
            // a driver sends the request or dials here; this platform answers everything at once
            let answer = match action.what {
                Action::Call(Step::Count) => Input::Counted(0),
                Action::Call(Step::Create) => Input::Created(ChannelInfo {
                    id: "a secret".to_owned(),
                    uri: "wss://a secret".to_owned(),
                    expires: now + Duration::from_secs(86_400),
                }),
                Action::Call(Step::Subscribe) => {
                    Input::Subscribed(topics.iter().map(|t| permitted(t)).collect())
                }
                Action::Call(Step::Verify) => Input::Listed(topics.clone()),
                Action::Call(Step::Dial) => Input::Opened,
                Action::NowLive if cuts > 0 => {
                    cuts -= 1;
                    Input::Ended(EndReason::Reset) // no sooner live than cut
                }
                Action::NowLive | Action::Down(_) | Action::Close(_) => continue,
                Action::Topics(_) | Action::Covered(_) | Action::Crowded(_) => continue,
            };
            let opened = answer == Input::Opened;
            leg.handle(action.life, answer, now, &mut dice);
            if opened {
                leg.handle(action.life, Input::Live, now, &mut dice);
            }
        }
        if let Some(due) = leg.poll_timeout() {
            now = now.max(due);
            leg.handle_timeout(now);
        }
    }
}

fn permitted(topic: &str) -> Answered {
    Answered { topic: topic.to_owned(), permitted: true, ..Answered::default() }
}
