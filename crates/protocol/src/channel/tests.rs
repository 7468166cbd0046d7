use std::time::Duration;

use super::*;

fn at(secs: u64) -> Mono {
    Mono(0) + Duration::from_secs(secs)
}

struct Bench {
    channel: Channel,
    dice: Dice,
}

impl Bench {
    fn new() -> Self {
        let wanted = BTreeSet::from(["v2.a.1.x".to_owned()]);
        let mut channel = Channel::new(Timings::default(), wanted, at(0));
        channel.handle_timeout(at(0));
        Self { channel, dice: Dice::new(1) }
    }

    fn tell(&mut self, input: Input, secs: u64) -> Vec<Action> {
        self.channel.handle(input, at(secs), &mut self.dice);
        self.actions()
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.channel.poll()).collect()
    }

    /// Tells the last action that happens by `secs`.
    fn wait(&mut self, secs: u64) -> Option<Action> {
        self.channel.handle_timeout(at(secs));
        self.actions().pop()
    }

    fn live(secs: u64) -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.actions(), [Action::Call(Step::Count)]);
        assert_eq!(bench.tell(Input::Counted(3), secs), [Action::Call(Step::Create)]);
        let info = ChannelInfo { id: "i".into(), uri: "u".into(), expires: at(secs + 86_400) };
        assert_eq!(bench.tell(Input::Created(info), secs), [Action::Call(Step::Subscribe)]);
        let permitted =
            Answered { topic: "v2.a.1.x".into(), permitted: true, ..Answered::default() };
        assert_eq!(
            bench.tell(Input::Subscribed(vec![permitted]), secs),
            [Action::Topics(vec![]), Action::Call(Step::Verify)]
        );
        assert_eq!(bench.tell(listed(), secs), [Action::Call(Step::Dial)]);
        bench.tell(Input::Opened, secs);
        assert_eq!(bench.tell(Input::Live, secs), [Action::NowLive]);
        bench
    }
}

fn listed() -> Input {
    Input::Listed(BTreeSet::from(["v2.a.1.x".to_owned()]))
}

#[test]
fn a_lost_socket_of_a_valid_channel_costs_two_requests_and_no_delay() {
    let mut bench = Bench::live(0);
    let seen = bench.tell(Input::Ended(EndReason::Reset), 100);
    assert_eq!(seen, [Action::Down(EndReason::Reset), Action::Call(Step::Verify)]);
    assert_eq!(bench.tell(listed(), 100), [Action::Call(Step::Dial)]);
}

#[test]
fn a_channel_the_platform_forgot_is_replaced_by_a_new_one() {
    let mut bench = Bench::live(0);
    bench.tell(Input::Ended(EndReason::Close1000), 100);
    bench.tell(Input::Gone, 100);
    assert_eq!(bench.wait(131), Some(Action::Call(Step::Count)));
}

#[test]
fn a_server_that_accepts_and_closes_is_not_redialled_in_a_loop() {
    let mut bench = Bench::live(0);
    let (mut now, mut dials) = (Mono(0), 0);
    while now < at(3_600) {
        bench.channel.handle(Input::Ended(EndReason::Close1001), now, &mut bench.dice);
        now = bench.channel.poll_timeout().map_or(now, |due| due.max(now));
        bench.channel.handle_timeout(now);
        bench.channel.handle(listed(), now, &mut bench.dice);
        bench.channel.handle(Input::Opened, now, &mut bench.dice);
        bench.channel.handle(Input::Live, now, &mut bench.dice);
        bench.actions();
        dials += 1;
        now = now + Duration::from_millis(10);
    }
    assert!((200..400).contains(&dials), "one dial per 15 s on average: {dials}");
}

#[test]
fn a_crowded_client_is_told_of_and_gets_channels_while_none_is_taken_away_for_them() {
    let mut bench = Bench::new();
    bench.actions();
    let seen = bench.tell(Input::Counted(16), 0);
    assert_eq!(seen, [Action::Crowded(16), Action::Call(Step::Create)]);
}

#[test]
fn a_channel_that_takes_another_one_away_comes_once_in_ten_minutes() {
    let mut bench = Bench::new();
    bench.actions();
    assert_eq!(bench.tell(Input::Counted(20), 0), [Action::Crowded(20)]);
    assert_eq!(bench.wait(29), None);
    assert_eq!(bench.wait(30), Some(Action::Call(Step::Create)), "no silence for a day");
    let info = ChannelInfo { id: "j".into(), uri: "u".into(), expires: at(90_000) };
    bench.tell(Input::Created(info), 31);
    assert_eq!(bench.tell(Input::Gone, 60), [Action::Call(Step::Count)]);
    assert_eq!(bench.tell(Input::Counted(20), 120), [Action::Crowded(20)]);
    assert_eq!(bench.wait(630), None);
    assert_eq!(bench.wait(631), Some(Action::Call(Step::Create)));
}

#[test]
fn after_two_creations_in_ten_minutes_there_is_one_a_minute() {
    let mut bench = Bench::live(0);
    let info = ChannelInfo { id: "j".into(), uri: "u".into(), expires: at(90_000) };
    bench.tell(Input::Gone, 1);
    assert_eq!(bench.tell(Input::Counted(3), 1), [Action::Call(Step::Create)]);
    bench.tell(Input::Created(info), 2);
    bench.tell(Input::Gone, 3);
    assert_eq!(bench.tell(Input::Counted(3), 40), []);
    assert_eq!(bench.wait(61), None);
    assert_eq!(bench.wait(62), Some(Action::Call(Step::Create)));
}

#[test]
fn a_topic_that_is_not_there_when_read_back_is_set_again_and_then_reported() {
    let mut bench = Bench::live(0);
    bench.tell(Input::Ended(EndReason::Reset), 100);
    let nothing = || Input::Listed(BTreeSet::new());
    for _ in 0..VERIFICATIONS {
        bench.tell(nothing(), 100);
        bench.wait(110);
        bench.tell(Input::Subscribed(vec![]), 110);
        bench.channel.refused.clear(); // the answer to the PUT said nothing against it
    }
    let seen = bench.tell(nothing(), 110);
    assert!(
        matches!(&seen[..], [Action::Topics(refused), Action::Call(Step::Dial)] if refused.len() == 1)
    );
}

#[test]
fn a_channel_at_the_end_of_its_life_ends_by_expiry() {
    let mut bench = Bench::live(0);
    let seen = bench.tell(Input::Ended(EndReason::Close1000), 86_400);
    assert_eq!(seen, [Action::Down(EndReason::Expiry), Action::Call(Step::Count)]);
}

#[test]
fn a_channel_on_which_no_socket_stays_open_is_given_up_once_an_hour() {
    let mut bench = Bench::live(0);
    let mut given_up = Vec::new();
    for socket in 1..=40 {
        let secs = socket * 60;
        let seen = bench.tell(Input::Ended(EndReason::CloseOther), secs);
        let next = seen.last().cloned().filter(|a| matches!(a, Action::Call(_)));
        match next.or_else(|| bench.wait(secs + 31)) {
            Some(Action::Call(Step::Count)) => {
                given_up.push(socket);
                bench.tell(Input::Counted(3), secs + 31);
                let info = ChannelInfo { id: "n".into(), uri: "u".into(), expires: at(90_000) };
                bench.tell(Input::Created(info), secs + 31);
                bench.tell(permitted(&["v2.a.1.x"]), secs + 31);
            }
            Some(Action::Call(Step::Verify)) => {}
            other => panic!("{other:?}"),
        }
        bench.tell(listed(), secs + 31);
        bench.tell(Input::Opened, secs + 31);
        bench.tell(Input::Live, secs + 31);
    }
    assert_eq!(given_up, [6], "the first stayed open, five did not; not again within the hour");
    let secs = 41 * 60 + 3_600;
    let seen = bench.tell(Input::Ended(EndReason::Reset), secs);
    assert_eq!(seen.last(), Some(&Action::Call(Step::Verify)), "one that stayed open is kept");
}

#[test]
fn a_channel_that_was_taken_is_never_fought_for() {
    let mut bench = Bench::live(0);
    bench.tell(Input::Notice(SystemNotice::NoLongerSubscribed), 100);
    let seen = bench.tell(Input::Ended(EndReason::Kicked), 100);
    assert_eq!(seen, [Action::Down(EndReason::Kicked), Action::Call(Step::Count)]);
}

#[test]
fn a_channel_retired_while_its_socket_is_being_opened_closes_it_and_is_never_live() {
    let mut bench = Bench::live(0);
    bench.tell(Input::Ended(EndReason::Reset), 300);
    assert_eq!(bench.tell(listed(), 301), [Action::Call(Step::Dial)]);
    bench.channel.retire(EndReason::Rotation);
    assert_eq!(bench.actions(), []);
    assert_eq!(bench.tell(Input::Opened, 302), [Action::Close(EndReason::Rotation)]);
    assert_eq!(bench.tell(Input::Live, 302), [], "it is not to be heard any more");
    assert!(!bench.channel.is_live() && !bench.channel.is_retired());
    let down = [Action::Down(EndReason::Rotation)];
    assert_eq!(bench.tell(Input::Ended(EndReason::Rotation), 303), down);
    assert!(bench.channel.is_retired());
}

#[test]
fn a_channel_retired_while_its_socket_is_being_opened_is_done_when_that_fails() {
    for refused in [Input::Failed, Input::Gone] {
        let mut bench = Bench::live(0);
        bench.tell(Input::Ended(EndReason::Reset), 300);
        bench.tell(listed(), 301);
        bench.channel.retire(EndReason::Rotation);
        assert_eq!(bench.tell(refused, 302), []);
        assert!(bench.channel.is_retired());
    }
}

#[test]
fn a_late_answer_does_not_bring_a_closing_channel_back() {
    let mut bench = Bench::live(0);
    bench.channel.want(two());
    assert_eq!(bench.actions(), [Action::Call(Step::Subscribe)]);
    bench.channel.retire(EndReason::Rotation);
    assert_eq!(bench.actions(), [Action::Close(EndReason::Rotation)]);
    assert_eq!(bench.tell(permitted(&["v2.a.1.x", "v2.a.1.y"]), 400), []);
    bench.tell(Input::Ended(EndReason::Rotation), 401);
    assert!(bench.channel.is_retired());
}

fn two() -> BTreeSet<String> {
    BTreeSet::from(["v2.a.1.x".to_owned(), "v2.b.1.x".to_owned()])
}

fn permitted(topics: &[&str]) -> Input {
    let entity =
        |topic: &&str| Answered { topic: (*topic).into(), permitted: true, ..Answered::default() };
    Input::Subscribed(topics.iter().map(entity).collect())
}

#[test]
fn a_changed_list_is_set_on_the_open_socket_and_covers_only_once_it_was_read_back() {
    let mut bench = Bench::live(0);
    bench.channel.want(two());
    assert_eq!(bench.actions(), [Action::Call(Step::Subscribe)]);
    assert_eq!(bench.channel.covered().len(), 1);
    let seen = bench.tell(permitted(&["v2.a.1.x", "v2.b.1.x"]), 1);
    assert_eq!(seen, [Action::Topics(vec![]), Action::Call(Step::Verify)]);
    assert_eq!(bench.tell(Input::Listed(two()), 2), [Action::Covered(two())]);
    assert!(bench.channel.is_live());
}

#[test]
fn a_change_that_fails_is_tried_again_and_one_that_comes_meanwhile_is_not_forgotten() {
    let mut bench = Bench::live(0);
    bench.channel.want(two());
    bench.actions();
    bench.tell(Input::Failed, 1); // the first try again is immediate
    assert!(bench.channel.is_live());
    bench.tell(Input::Failed, 2);
    let due = bench.channel.poll_timeout().expect("it is tried again");
    bench.channel.handle_timeout(due);
    assert_eq!(bench.actions().pop(), Some(Action::Call(Step::Subscribe)));
    let mut three = two();
    three.insert("v2.c.1.x".to_owned());
    bench.channel.want(three.clone());
    assert_eq!(bench.actions(), [], "one change at a time");
    bench.tell(permitted(&["v2.a.1.x", "v2.b.1.x"]), 3);
    let seen = bench.tell(Input::Listed(two()), 4);
    assert_eq!(seen, [Action::Covered(two()), Action::Call(Step::Subscribe)]);
}

#[test]
fn a_list_that_changed_while_the_socket_was_being_opened_is_set_as_soon_as_it_is_open() {
    let mut bench = Bench::live(0);
    bench.tell(Input::Ended(EndReason::Reset), 100);
    bench.tell(listed(), 100);
    bench.channel.want(two());
    assert_eq!(bench.actions(), []);
    assert_eq!(bench.tell(Input::Opened, 101), [Action::Call(Step::Subscribe)]);
    bench.tell(Input::Ended(EndReason::Reset), 102);
    assert_eq!(bench.wait(140), Some(Action::Call(Step::Subscribe)), "before the next socket");
}

#[test]
fn a_refused_topic_is_not_covered() {
    let mut bench = Bench::live(0);
    bench.channel.want(two());
    bench.actions();
    bench.tell(permitted(&["v2.a.1.x"]), 1);
    let only = BTreeSet::from(["v2.a.1.x".to_owned()]);
    assert_eq!(bench.tell(Input::Listed(only.clone()), 2), [Action::Covered(only)]);
}
