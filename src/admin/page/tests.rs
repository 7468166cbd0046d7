//! The page of a service that is well, deaf, large, empty, and lied to.

use std::time::Duration;

use trunkline_protocol::certificate::Level;
use trunkline_protocol::domain::{EndReason, EpochId, GapCause, GapId, Leg, Wall};
use trunkline_protocol::ledger::{Gap, Reading, Repair, Source};
use trunkline_protocol::strip::Cell;
use trunkline_protocol::subscriptions::Refused;
use trunkline_protocol::timings::Timings;

use super::{About, Flowing, Seen, main, page};
use crate::observe::flow::Flow;
use crate::observe::metrics::Metrics;
use crate::observe::status::{Conflict, Coverage, StatusBoard};
use crate::observe::story::Past;

/// 2025-11-28 10:00:00 UTC.
const NOW: Wall = Wall(1_764_324_000_000);
const CLASS: &str = "v2.routing.queues.{id}.conversations";

fn ago(secs: u64) -> Wall {
    NOW.minus(Duration::from_secs(secs))
}

fn board() -> StatusBoard {
    StatusBoard::new("channels", Metrics::new(Flow::new()))
}

/// Two channels of each shard live for an hour, everything proven up to three seconds ago.
fn well(shards: u16) -> StatusBoard {
    let board = board();
    board.check("channels", true, "");
    for shard in 0..shards {
        for ordinal in 0..2 {
            let epoch = Some(EpochId([ordinal + 1; 16]));
            board.channel(Leg { shard, ordinal }, "live", epoch, ago(3600));
        }
        board.coverage(shard, Coverage { proven_to_ms: Some(ago(3)), ..Coverage::default() });
    }
    let cells = |step: i64, count: i64| {
        let from = |back: i64| Wall(NOW.0 - back * step);
        let cell = |back| Cell { from: from(back), level: Some(Level::LiveDual), gaps: 0 };
        (0..count).rev().map(cell).collect::<Vec<_>>()
    };
    let hours = (0..shards).map(|shard| (shard, cells(3_600_000, 24))).collect();
    let minutes = (0..shards).map(|shard| (shard, cells(60_000, 60))).collect();
    board.past(Past { at: NOW, hours, minutes });
    board
}

fn gap(from: Wall, to: Option<Wall>) -> Gap {
    Gap {
        gap: GapId([0xab; 16]),
        class: CLASS.to_owned(),
        topics: Vec::new(),
        from,
        to,
        cause: GapCause::HalfOpen,
        recorded_at: from,
        repair: Repair::default(),
    }
}

fn shown(board: &StatusBoard, flowing: &Flowing, actions: bool) -> String {
    let about = About {
        instance: "<b>east</b>".to_owned(),
        replica: "r\"0".to_owned(),
        timings: Timings::default(),
        burst: vec![90.0],
        spool_bytes: Some(1_000_000),
    };
    let status = board.snapshot();
    let seen = Seen { about: &about, status: &status, flowing, now: NOW, actions };
    let whole = page(&seen);
    assert!(whole.contains(&main(&seen)), "what is fetched again is what the page holds");
    whole
}

fn page_of(board: &StatusBoard) -> String {
    shown(board, &Flowing::default(), true)
}

#[test]
fn a_service_that_is_well_says_until_when_and_that_there_is_nothing_to_do() {
    let page = page_of(&well(1));
    assert!(
        page.contains(
            "<section class=\"answer good\"><h1 id=\"title\">Complete until 09:59:57 UTC"
        )
    );
    assert!(page.contains("Nothing is wrong. Nothing to do."));
    assert_eq!(page.matches("class=\"dual\" title").count(), 24 + 60);
    assert!(page.contains("No socket has ended since the start."));
}

#[test]
fn whatever_others_say_is_text() {
    let board = well(1);
    let topic = "<script>alert(1)</script>".to_owned();
    let reason = "\"><img src=x onerror=alert(1)>".to_owned();
    board.topics(1, vec![Refused { topic, reason, missing_permissions: vec!["<i>".to_owned()] }]);
    board.conflict(Conflict::Client, Some("</main><script>".to_owned()));
    board.check("spool", false, "<svg onload=x>");
    let page = page_of(&board);
    for markup in ["<script>", "<img", "<b>east", "<i>", "<svg onload", "r\"0", "</main><script"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("&lt;b&gt;east&lt;/b&gt;"));
}

#[test]
fn nothing_in_the_page_is_fetched_from_elsewhere_and_nothing_runs_or_is_styled_within_it() {
    let board = well(2);
    board.coverage(0, Coverage { gaps: vec![gap(ago(60), None)], ..Coverage::default() });
    let page = page_of(&board);
    for banned in ["http://", "https://", "style=", " onclick", "<style", "javascript:"] {
        assert!(!page.contains(banned), "{banned}");
    }
    assert_eq!(page.matches("<script").count(), 1, "the file of its own");
}

#[test]
fn before_anything_is_known_it_says_so() {
    let page = shown(&board(), &Flowing::default(), false);
    assert!(page.contains("answer watch") && page.contains("Nothing is proven yet"));
    assert!(page.contains("No channel is made yet"));
    assert!(page.contains("The past is being looked at."));
    assert!(page.contains("Actions are off"));
}

#[test]
fn an_outage_says_since_when_why_and_what_to_do() {
    let board = well(1);
    for ordinal in 0..2 {
        let leg = Leg { shard: 0, ordinal };
        board.ended(leg, EndReason::HalfOpen, ago(40));
        board.channel(leg, "connect", None, ago(40));
    }
    let proven_to_ms = Some(ago(42));
    board.coverage(
        0,
        Coverage { proven_to_ms, gaps: vec![gap(ago(42), None)], ..Coverage::default() },
    );
    let page = page_of(&board);
    assert!(page.contains("answer bad"));
    assert!(page.contains("Complete until 09:59:18 UTC, not since"));
    assert!(page.contains("No channel of shard 0 is live in this process"));
    assert!(page.contains("`trunkline doctor`"));
    assert!(page.contains("42 s, growing") && page.contains("once it has an end"));
    assert!(page.contains("half_open 2"));
    assert!(page.contains("not live from 09:59:20 for 40 s, after half_open"));
}

#[test]
fn a_gap_says_how_far_its_repair_is_and_when_it_is_expected_to_close() {
    let board = well(1);
    let mut read = gap(ago(600), Some(ago(540)));
    read.repair.reads.push(Reading {
        source: Source::Query,
        at: ago(100),
        digest: "d".to_owned(),
        rows: 7,
        written: 5,
        complete_to: None,
        missing: 0,
    });
    let gaps = vec![read];
    board.coverage(0, Coverage { proven_to_ms: Some(ago(3)), gaps, ..Coverage::default() });
    let page = page_of(&board);
    assert!(page.contains("Complete until 09:50:00 UTC; 1 gap is being filled"));
    assert!(page.contains("What came after them is proven up to 09:59:57."));
    assert!(page.contains("1 reading, 5 restored") && page.contains("(in "));
    assert_eq!(page.matches("class=\"done\"").count(), 3);
    assert!(page.contains("<td>1 min<td>half_open<td>"));
}

#[test]
fn what_the_configuration_allows_is_told_and_colours_nothing() {
    let board = well(1);
    board.durability(vec!["events: replication factor is 1".to_owned(); 5]);
    let page = page_of(&board);
    assert!(page.contains("answer good") && page.contains("5 topics weaker than promised"));
}

#[test]
fn many_shards_keep_their_hours_and_lose_their_minutes() {
    let page = page_of(&well(20));
    assert_eq!(page.matches("strip hours").count(), 20);
    assert_eq!(page.matches("strip minutes").count(), 0);
    assert_eq!(page.matches("<option>").count(), 40);
    assert!(page.len() < 200_000, "{} bytes", page.len());
}

#[test]
fn what_waits_for_kafka_is_measured_against_its_room() {
    let board = well(1);
    let oldest_unacked = Some(ago(45));
    let flowing = Flowing {
        in_flight: 12,
        oldest_unacked,
        received: 112,
        published: 90,
        budgets: vec![30.0],
    };
    let page = shown(&board, &flowing, true);
    assert!(page.contains("answer bad") && page.contains("A record has waited 45 s for Kafka"));
    assert!(page.contains("12 events without an acknowledgement"));
    assert!(page.contains("of 90 requests to the platform"));
    assert!(page.contains("90 records acknowledged, 10 copies and others left out"));
}

#[test]
fn hours_that_history_could_not_make_whole_are_told_beside_good_news() {
    let board = well(1);
    let hours = [Level::LiveDual, Level::Partial, Level::LostDeclared, Level::Reconciled];
    let cell = |level| Cell { from: NOW, level: Some(level), gaps: 2 };
    let hours = [(0, hours.map(cell).to_vec())].into();
    board.past(Past { at: NOW, hours, ..Past::default() });
    let page = page_of(&board);
    assert!(page.contains("In the last day 2 hours could not be made whole"));
    assert!(page.contains("title=\"10:00 PARTIAL, 2 gaps\"><span>½</span>"));
}

#[test]
fn what_comes_from_a_queue_or_a_direct_url_is_not_called_complete() {
    for (mode, title) in
        [("direct", "A direct URL proves nothing"), ("eventbridge", "A queue proves nothing")]
    {
        let page = page_of(&StatusBoard::new(mode, Metrics::new(Flow::new())));
        assert!(page.contains(title) && !page.contains("Complete until"), "{mode}");
    }
}
