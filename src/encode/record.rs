//! Event to record, field by field in the order of `schemas/conversation_event.avsc`.

use trunkline_protocol::domain::facts::{Facts, MediaLeg, Participant};
use trunkline_protocol::domain::{Event, Origin};

use super::writer::Writer;

/// Version of the schema, in every record.
const SCHEMA_VERSION: i64 = 1;

/// Everything a record is made of.
pub(super) struct Row<'a> {
    pub(super) event: &'a Event,
    pub(super) facts: &'a Facts<'a>,
    pub(super) org_id: &'a str,
    pub(super) writer_id: &'a str,
    pub(super) topic_class: &'a str,
    pub(super) keep_payload: bool,
}

impl Row<'_> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (event, facts) = (self.event, self.facts);
        let mut w = Writer(out);
        w.string(event.id.to_hex().as_str());
        w.string(event.digest.to_hex().as_str());
        w.string(self.org_id);
        w.string(event.topic());
        w.string(self.topic_class);
        w.string(&facts.event_type);
        w.opt_string(event.correlation_id());
        w.long(SCHEMA_VERSION);
        for text in [
            &facts.conversation_id,
            &facts.queue_id,
            &facts.user_id,
            &facts.media_type,
            &facts.direction,
            &facts.ani,
            &facts.dnis,
            &facts.external_tag,
        ] {
            w.opt_string(text.as_deref());
        }
        w.items(&facts.division_ids, |w, id| w.string(id));
        let received = event.frame.received.wall.0;
        let (event_time, source) = match (facts.event_time, facts.version) {
            (Some(time), _) => (time, "event"),
            (None, Some(newest)) => (newest, "derived"),
            (None, None) => (received, "received"),
        };
        w.long(event_time);
        w.string(source);
        w.long(received);
        w.opt_long(facts.version);
        w.string(event.origin.as_str());
        w.opt_string(event.gap.map(|gap| gap.to_hex()).as_ref().map(|gap| gap.as_str()));
        let epoch = match event.origin {
            Origin::Live | Origin::Standby | Origin::Replay => Some(event.frame.epoch.to_hex()),
            // no socket heard it
            Origin::Backfill | Origin::Reconcile | Origin::EventBridge => None,
        };
        w.opt_string(epoch.as_ref().map(|epoch| epoch.as_str()));
        w.string(self.writer_id);
        w.long(i64::try_from(event.sequence).unwrap_or(i64::MAX));
        w.boolean(event.takeover);
        w.opt_string(facts.conversation_state.as_deref());
        w.items(&facts.participants, participant);
        w.opt_string(self.keep_payload.then(|| event.body()));
    }
}

fn participant(w: &mut Writer<'_>, participant: &Participant<'_>) {
    for text in [
        &participant.participant_id,
        &participant.purpose,
        &participant.user_id,
        &participant.queue_id,
        &participant.ani,
        &participant.dnis,
    ] {
        w.opt_string(text.as_deref());
    }
    for time in [
        participant.connected_time,
        participant.end_time,
        participant.acw_start_time,
        participant.acw_end_time,
    ] {
        w.opt_long(time);
    }
    w.opt_string(participant.wrapup_code.as_deref());
    w.opt_string(participant.wrapup_notes.as_deref());
    w.optional(participant.attributes.as_deref(), |w, attributes| {
        w.items(attributes, |w, (key, value)| {
            w.string(key);
            w.string(value);
        });
    });
    w.items(&participant.legs, leg);
}

fn leg(w: &mut Writer<'_>, leg: &MediaLeg<'_>) {
    w.opt_string(leg.leg_id.as_deref());
    w.string(&leg.media_type);
    for text in [&leg.state, &leg.direction, &leg.disconnect_type] {
        w.opt_string(text.as_deref());
    }
    w.optional(leg.held, Writer::boolean);
    w.opt_string(leg.provider.as_deref());
    for time in [leg.connected_time, leg.disconnected_time, leg.hold_start_time] {
        w.opt_long(time);
    }
}
