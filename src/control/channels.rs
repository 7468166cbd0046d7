//! Drives one leg: successor first, then retire.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use trunkline_protocol::backoff::Hint;
use trunkline_protocol::channel::{Action as Do, ChannelInfo, Input, Step};
use trunkline_protocol::domain::{Dice, EndReason, EpochId, Leg, Mono};
use trunkline_protocol::envelope::SystemNotice;
use trunkline_protocol::gate::{Endpoint, Outcome, Priority};
use trunkline_protocol::rotation::{Leg as Rules, Life};
use trunkline_protocol::seeded::{Bug, planted};
use trunkline_protocol::subscriptions::{Answered, expand};

use super::places::Place;
use super::{Client, Control, LiveLegs};
use crate::failpoint;
use crate::genesys::gate::Turn;
use crate::genesys::{Created, PlatformError};
use crate::session::{SocketCommand, SocketEvent, SocketOrder, run_socket};
use crate::supervisor::{Supervisor, Uninvited};

/// One leg at work.
pub(super) struct Driver {
    control: Control,
    leg: Leg,
    client: Client,
    plan: watch::Receiver<Vec<BTreeSet<String>>>,
    live: LiveLegs,
    /// Legs that have a channel.
    seated: watch::Receiver<BTreeSet<Leg>>,
    dice: Dice,
    rules: Rules,
    calls: FuturesUnordered<BoxFuture<'static, (Life, Answer)>>,
    sockets: BTreeMap<Life, Open>,
    tasks: Supervisor,
    events_in: mpsc::Sender<(u64, SocketEvent)>,
    events: mpsc::Receiver<(u64, SocketEvent)>,
    down_since: Option<Mono>,
    /// While a successor takes over.
    place: Option<Place>,
    /// Since when the old channel is closed, to our knowledge.
    settles: Option<Mono>,
}

struct Open {
    epoch: EpochId,
    /// Single topics that were told to be covered.
    covered: BTreeSet<String>,
    commands: mpsc::Sender<SocketCommand>,
    turn: Option<Turn>,
}

enum Answer {
    Counted(u32),
    Created(Created, Option<Place>),
    Subscribed(Vec<Answered>),
    Listed(BTreeSet<String>),
    Turn(Turn),
    Failed(PlatformError),
}

enum Wake {
    Answered(Life, Answer),
    Socket(Life, SocketEvent),
    Due,
    Stop,
    Plan,
    Siblings,
    Suspected,
    Ordered,
    Waited,
}

impl Driver {
    pub(super) fn new(
        control: Control,
        leg: Leg,
        client: Client,
        plan: watch::Receiver<Vec<BTreeSet<String>>>,
        live: LiveLegs,
        seated: watch::Receiver<BTreeSet<Leg>>,
        dice: Dice,
    ) -> Self {
        let wanted = plan.borrow().get(usize::from(leg.shard)).cloned().unwrap_or_default();
        let now = control.clock.mono();
        let rules = Rules::new(control.timings.clone(), leg.ordinal, wanted, now);
        let (events_in, events) = mpsc::channel(64);
        Self {
            control,
            leg,
            client,
            plan,
            live,
            seated,
            dice,
            rules,
            calls: FuturesUnordered::new(),
            sockets: BTreeMap::new(),
            tasks: Supervisor::new(),
            events_in,
            events,
            down_since: None,
            place: None,
            settles: None,
        }
    }

    /// Runs until `stop` turns true and every socket is closed; an error when a socket's task ends
    /// without having said so.
    pub(super) async fn run(
        mut self,
        mut stop: watch::Receiver<bool>,
        mut rotates: watch::Receiver<u64>,
    ) -> Result<(), Uninvited> {
        let mut siblings = self.live.subscribe();
        let mut seated = self.seated.clone();
        let mut suspects = self.control.suspects.clone();
        let mut waiting = self.client.places().waiting();
        // one leg after the other: the first one proves that the way is free
        tokio::time::sleep(STAGGER * u32::from(self.leg.ordinal)).await;
        let mut stopping = false;
        loop {
            while let Some(action) = self.rules.poll() {
                self.apply(action.life, action.what);
            }
            self.post();
            let settled = self.give_back();
            if stopping && self.sockets.is_empty() {
                break; // requests were given up, and none is made after a stop
            }
            let due = self.rules.poll_timeout().into_iter().chain(settled).min();
            let wake = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop), if !stopping => Wake::Stop,
                Some((life, event)) = self.events.recv() => Wake::Socket(life, event),
                Some(ended) = self.tasks.next() => match ended.failure {
                    Some(_) => return Err(ended.into()),
                    None => continue, // it has told its end
                },
                Some((life, answer)) = self.calls.next(), if !self.calls.is_empty() => Wake::Answered(life, answer),
                Ok(()) = self.plan.changed(), if !stopping => Wake::Plan,
                Ok(()) = siblings.changed() => Wake::Siblings,
                Ok(()) = seated.changed() => Wake::Siblings,
                Ok(()) = suspects.changed() => Wake::Suspected,
                Ok(()) = rotates.changed(), if !stopping => Wake::Ordered,
                Ok(()) = waiting.changed() => Wake::Waited,
                () = self.control.clock.sleep_until(due) => Wake::Due,
            };
            match wake {
                Wake::Stop => {
                    stopping = true;
                    self.calls.clear();
                    self.rules.stop();
                }
                Wake::Socket(life, event) => self.socket(life, event),
                Wake::Answered(life, answer) => self.answered(life, answer),
                Wake::Plan => {
                    let wanted = self.wanted();
                    self.rules.want(&wanted);
                }
                Wake::Siblings => {
                    let others: Vec<bool> = {
                        let live = siblings.borrow_and_update();
                        let seated = seated.borrow_and_update();
                        let others = self.others().filter(|leg| seated.contains(leg));
                        others.map(|leg| live.contains(&leg)).collect()
                    };
                    self.rules.sibling(others.is_empty() || others.contains(&true));
                }
                Wake::Suspected => {
                    let suspect = *suspects.borrow_and_update();
                    let ours = self.sockets.iter().find(|(_, open)| Some(open.epoch) == suspect);
                    if let Some(life) = ours.map(|(life, _)| *life) {
                        self.rules.suspect(life, self.control.clock.mono());
                    }
                }
                Wake::Ordered => self.rules.rotate(self.control.clock.mono()),
                Wake::Due => self.rules.handle_timeout(self.control.clock.mono()),
                Wake::Waited => {} // below
            }
            if self.place.is_some() && *waiting.borrow_and_update() > 0 {
                self.rules.hurry(self.control.clock.mono());
            }
        }
        while let Some(ended) = self.tasks.next().await {
            if ended.failure.is_some() {
                return Err(ended.into());
            }
        }
        Ok(())
    }

    fn others(&self) -> impl Iterator<Item = Leg> + use<> {
        let leg = self.leg;
        let count = self.control.channels_per_shard;
        (0..count).filter(move |n| *n != leg.ordinal).map(move |ordinal| Leg { ordinal, ..leg })
    }

    fn wanted(&mut self) -> BTreeSet<String> {
        self.plan.borrow_and_update().get(usize::from(self.leg.shard)).cloned().unwrap_or_default()
    }

    fn apply(&mut self, life: Life, action: Do) {
        match action {
            Do::Call(step) => self.call(life, step),
            Do::Close(reason) => {
                failpoint::pass("ch.drain.before_close");
                if let Some(open) = self.sockets.get(&life) {
                    open.commands.try_send(SocketCommand::Close(reason)).ok(); // or it has ended
                }
            }
            Do::NowLive => {
                failpoint::pass("ch.rotate.successor_live");
                let now = self.control.clock.now();
                if let Some(since) = self.down_since.take() {
                    self.control.metrics.reconnected_after(now.mono.since(since));
                }
                self.control.metrics.epoch(self.leg, Some(now.wall));
                tracing::info!(
                    code = "channel_live",
                    shard = self.leg.shard,
                    leg = self.leg.ordinal,
                    "channel live"
                );
            }
            Do::Down(reason) => {
                let now = self.control.clock.now();
                self.control.metrics.ended(reason);
                self.control.board.ended(self.leg, reason, now.wall);
                if !self.rules.is_live() {
                    self.down_since.get_or_insert(now.mono);
                    self.control.metrics.epoch(self.leg, None);
                }
                tracing::info!(
                    code = "channel_down",
                    shard = self.leg.shard,
                    leg = self.leg.ordinal,
                    reason = reason.as_str(),
                    "channel down"
                );
            }
            Do::Topics(refused) => {
                let wanted: usize = self.plan.borrow().iter().map(BTreeSet::len).sum();
                self.control.metrics.subscriptions(wanted, refused.len());
                for topic in &refused {
                    tracing::error!(
                        code = "topic_refused",
                        topic = %topic.topic,
                        reason = %topic.reason,
                        missing_permissions = %topic.missing_permissions.join(", "),
                        "a wanted topic is not covered"
                    );
                }
                self.control.board.topics(wanted, refused);
            }
            Do::Covered(topics) => self.covers_more(life, &topics),
            Do::Crowded(count) => {
                tracing::error!(
                    code = "client_crowded",
                    client = self.client.index(),
                    channels = count,
                    "the OAuth client has so many channels that there is no room for dead ones"
                );
            }
        }
    }

    /// A socket opened under a verified subscription: coverage begins.
    fn covers(&mut self, life: Life) {
        let topics = self.rules.channel(life).map(|channel| channel.covered().clone());
        let (Some(topics), Some(open)) = (topics, self.sockets.get_mut(&life)) else { return };
        open.covered.clone_from(&topics);
        let (epoch, leg) = (open.epoch, self.leg);
        self.control.begun(epoch, leg, topics, None);
    }

    /// Never used before, by anybody.
    fn new_epoch(&mut self) -> EpochId {
        if planted(Bug::ReusedEpoch) {
            return EpochId([self.leg.ordinal + 1; 16]);
        }
        EpochId(self.dice.bytes16())
    }

    /// Topics were changed on an open socket and read back.
    fn covers_more(&mut self, life: Life, topics: &BTreeSet<String>) {
        let wanted: BTreeSet<String> =
            self.plan.borrow().iter().flatten().flat_map(|t| expand(t)).collect();
        let Some(open) = self.sockets.get_mut(&life) else { return };
        let lost =
            open.covered.iter().any(|topic| wanted.contains(topic) && !topics.contains(topic));
        if lost {
            // its coverage would claim what it does not hear any more: a new one says the truth
            open.commands.try_send(SocketCommand::Close(EndReason::Rotation)).ok();
            return;
        }
        let added: BTreeSet<String> = topics.difference(&open.covered).cloned().collect();
        open.covered.clone_from(topics);
        let rides = Some(open.epoch);
        if !added.is_empty() {
            let epoch = self.new_epoch();
            self.control.begun(epoch, self.leg, added, rides);
        }
    }

    fn call(&mut self, life: Life, step: Step) {
        if step == Step::Create {
            failpoint::pass("ch.create.before");
        }
        if step == Step::Count
            && let Some(earlier) = self.earlier_channel()
        {
            self.calls.push(Box::pin(async move { (life, Answer::Created(earlier, None)) }));
            return;
        }
        let Some(channel) = self.rules.channel(life) else {
            return;
        };
        let (client, wanted) = (self.client.clone(), channel.wanted().clone());
        let making = self.client.clone();
        let id = channel.info().map(|info| info.id.clone()).unwrap_or_default();
        let (places, over) = (self.client.places().clone(), self.is_down());
        // a leg that hears nothing has no old channel that the new one could take away
        let takes_over = step == Step::Create && self.place.is_none() && self.rules.is_live();
        let start = Priority::StartReconnect;
        let finish = Priority::FinishReconnect;
        let call = async move {
            let place = if takes_over { places.take(over).await } else { None };
            let answer = match step {
                Step::Count => client
                    .call(Endpoint::Channels, start, |http, token| async move {
                        http.count_channels(&token).await
                    })
                    .await
                    .map(Answer::Counted),
                Step::Create => client
                    .call(Endpoint::Channels, finish, |http, token| async move {
                        making.crowd().creating();
                        http.create_channel(&token).await
                    })
                    .await
                    .map(|created| Answer::Created(created, place)),
                Step::Subscribe => client
                    .call(Endpoint::Subscriptions, finish, |http, token| async move {
                        http.subscribe(&token, &id, &wanted).await
                    })
                    .await
                    .map(Answer::Subscribed),
                Step::Verify => client
                    .call(Endpoint::Subscriptions, finish, |http, token| async move {
                        http.subscriptions(&token, &id).await
                    })
                    .await
                    .map(Answer::Listed),
                Step::Dial => Ok(Answer::Turn(client.dial_turn(finish).await)),
            };
            (life, answer.unwrap_or_else(Answer::Failed))
        };
        self.calls.push(Box::pin(call));
    }

    /// Gives the place back when the platform has seen the old channel's end as well: it takes away those without
    /// a socket first, and a successor that is being made has none. Says when to look again.
    fn give_back(&mut self) -> Option<Mono> {
        if self.place.is_none() || self.rules.is_changing_over() {
            self.settles = None;
            return None;
        }
        let now = self.control.clock.mono();
        let until = *self.settles.get_or_insert(now + SETTLE);
        if now < until {
            return Some(until);
        }
        (self.place, self.settles) = (None, None);
        None
    }

    /// Ends when the leg hears nothing.
    fn is_down(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut live, leg) = (self.live.subscribe(), self.leg);
        async move {
            live.wait_for(|live| !live.contains(&leg)).await.ok(); // or the service ends
        }
    }

    /// A channel of the process before this one, instead of another new one.
    fn earlier_channel(&self) -> Option<Created> {
        let now = self.control.clock.now().wall;
        let earlier = self.control.hints.as_ref()?.take(self.leg, now)?;
        tracing::info!(
            code = "channel_resumed",
            shard = self.leg.shard,
            leg = self.leg.ordinal,
            "going on with the channel of an earlier process"
        );
        Some(earlier)
    }

    fn remember(&mut self, created: &Created) {
        let Some(hints) = &self.control.hints else { return };
        let write = hints.keep(self.leg, created, self.control.clock.now().wall);
        self.tasks.spawn_infallible("channel hints", async move {
            tokio::task::spawn_blocking(write).await.ok(); // a hint may be lost
        });
    }

    fn answered(&mut self, life: Life, answer: Answer) {
        let now = self.control.clock.mono();
        failpoint::pass(match answer {
            Answer::Counted(_) => "ch.count.answered",
            Answer::Created(..) => "ch.create.answer_lost",
            Answer::Subscribed(_) => "ch.subscribe.sent",
            Answer::Listed(_) => "ch.verify.answered",
            Answer::Turn(_) => "ch.dial.before",
            Answer::Failed(_) => "ch.call.failed",
        });
        let input = match answer {
            Answer::Counted(count) => Input::Counted(count),
            Answer::Created(created, place) => {
                self.place = place.or(self.place.take());
                self.remember(&created);
                let Created { id, uri, life } = created;
                Input::Created(ChannelInfo { id, uri, expires: now + life })
            }
            Answer::Subscribed(answer) => Input::Subscribed(answer),
            Answer::Listed(topics) => Input::Listed(topics),
            Answer::Turn(turn) => {
                self.dial(life, turn);
                return;
            }
            Answer::Failed(error) => {
                tracing::warn!(code = "channel_request_failed", shard = self.leg.shard, leg = self.leg.ordinal, error = %error, "a request for the channel failed");
                match error.status() {
                    Some(404) => Input::Gone,
                    Some(_) | None => Input::Failed,
                }
            }
        };
        self.rules.handle(life, input, now, &mut self.dice);
    }

    fn dial(&mut self, life: Life, turn: Turn) {
        let epoch = self.new_epoch();
        let Some(info) = self.rules.channel(life).and_then(|channel| channel.info()) else {
            return;
        };
        let sibling = {
            let live = self.live.borrow();
            self.others().any(|leg| live.contains(&leg))
        };
        let order = SocketOrder {
            tag: life,
            url: info.uri.clone(),
            epoch,
            leg: self.leg,
            joining: sibling || self.rules.is_live(),
            liveness: self.control.liveness(),
        };
        let (commands, receiver) = mpsc::channel(4);
        self.sockets
            .insert(life, Open { epoch, covered: BTreeSet::new(), commands, turn: Some(turn) });
        let parts = self.control.session.clone();
        let name = format!("socket {}/{}", self.leg.shard, self.leg.ordinal);
        self.tasks
            .spawn_infallible(name, run_socket(order, parts, receiver, self.events_in.clone()));
    }

    fn socket(&mut self, life: Life, event: SocketEvent) {
        let now = self.control.clock.mono();
        let turn = self.sockets.get_mut(&life).and_then(|open| open.turn.take());
        let input = match event {
            SocketEvent::Open => {
                failpoint::pass("ch.connect.open");
                self.covers(life);
                turn.into_iter().for_each(|turn| turn.report(Outcome::Answered, None));
                self.control.metrics.connected();
                Input::Opened
            }
            SocketEvent::Live => Input::Live,
            SocketEvent::Notice(notice) => {
                if notice == SystemNotice::TokenRevoked {
                    self.client.token_rejected();
                }
                Input::Notice(notice)
            }
            SocketEvent::Ended(reason) => {
                failpoint::pass("ch.ended.before_record");
                self.sockets.remove(&life);
                Input::Ended(reason)
            }
            SocketEvent::Refused(refusal) => {
                self.sockets.remove(&life);
                self.control.metrics.refused(refusal.status);
                let outcome = match refusal.status {
                    Some(429) => Outcome::RateLimited(Hint::parse(refusal.retry_after.as_deref())),
                    Some(status) if status < 500 => Outcome::Answered,
                    Some(_) | None => Outcome::Failed,
                };
                turn.into_iter().for_each(|turn| turn.report(outcome, None));
                match refusal.status {
                    Some(401 | 403 | 404) => Input::Gone,
                    Some(_) | None => Input::Failed,
                }
            }
        };
        self.rules.handle(life, input, now, &mut self.dice);
    }

    /// Tells everybody how the leg is.
    fn post(&mut self) {
        let (leg, is_live) = (self.leg, self.rules.is_live());
        let changed = self.live.send_if_modified(|live| match is_live {
            true => live.insert(leg),
            false => live.remove(&leg),
        });
        if changed {
            let live = self.live.borrow().iter().filter(|other| other.shard == leg.shard).count();
            self.control.metrics.live_channels(leg.shard, live);
        }
        let phase = self.rules.carrier().phase();
        let epoch = self.sockets.values().next_back().map(|open| open.epoch);
        self.control.board.channel(leg, phase, epoch, self.control.clock.now().wall);
    }
}

/// A close is seen by the platform within this.
const SETTLE: std::time::Duration = std::time::Duration::from_secs(1);
/// Between the starts of two legs of a shard.
const STAGGER: std::time::Duration = std::time::Duration::from_millis(200);
