//! Bodies in the published shapes.

use super::conversation::{Conversation, Media, Participant, Route};
use super::org::Org;
use crate::json::Json;

/// Which shape a body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Generic snapshot: all media in one shape, flat ids.
    Generic,
    /// Media-specific snapshot: times, parties and references at the participant.
    Specific,
    /// Flat detail event.
    Detail,
    /// Metric record.
    Metric,
}

/// What may be odd about a body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Odd {
    /// Unknown keys, empty objects, empty ids, values outside the lists.
    pub awkward: bool,
    /// Whitespace between tokens.
    pub spaced: bool,
}

/// Writes the body of one notification. `now_ms` is the event's time since 1970.
#[must_use]
pub(super) fn write(
    shape: Shape,
    conversation: &Conversation,
    org: &Org,
    odd: Odd,
    now_ms: u64,
    serial: u64,
) -> String {
    let mut json = Json::new();
    json.open("");
    match shape {
        Shape::Generic => generic(&mut json, conversation, org, odd, now_ms, serial),
        Shape::Specific => specific(&mut json, conversation, org, now_ms, serial),
        Shape::Detail => detail(&mut json, conversation, org, now_ms),
        Shape::Metric => metric(&mut json, conversation, now_ms, serial),
    }
    json.close();
    let text = json.finish();
    if odd.spaced { text.replace("\",\"", "\",\n  \"").replace("\":{", "\" : {") } else { text }
}

fn generic(
    json: &mut Json,
    conversation: &Conversation,
    org: &Org,
    odd: Odd,
    now_ms: u64,
    serial: u64,
) {
    json.str("id", &conversation.id).num("maxParticipants", 9).open_list("participants");
    for participant in &conversation.participants {
        json.open("").str("id", &participant.id);
        json.time("connectedTime", participant.connected_ms);
        json.time("endTime", participant.ended_ms);
        json.time("startAcwTime", participant.wrapup_ms.map(|ms| ms - 5_000));
        json.time("endAcwTime", participant.wrapup_ms);
        who(json, participant, conversation, org);
        json.str("purpose", participant.purpose);
        json.str("address", address(participant));
        json.bool("wrapupRequired", participant.purpose == "agent").bool("wrapupExpected", false);
        wrapup(json, participant);
        attributes(json, participant, conversation, now_ms);
        if odd.awkward {
            json.open("futureThing").close().str("externalContactId", "");
        }
        json.open_list(conversation.media.list());
        leg(json, participant, conversation.media, odd);
        json.close_list().close();
    }
    json.close_list().open_list("recentTransfers").close_list();
    json.str("recordingState", if odd.awkward { "HALF_ACTIVE" } else { "ACTIVE" });
    json.str("externalTag", &format!("tag-{serial}")).bool("securePause", false);
    json.str("utilizationLabelId", "00000000-0000-0000-0000-000000000000");
    json.open_list("divisions").open("");
    json.open("division").str("id", org.home()).close();
    json.open_list("entities").close_list().close().close_list();
    if conversation.large {
        json.str("address", &"long street, ".repeat(5_100));
    }
}

fn who(json: &mut Json, participant: &Participant, conversation: &Conversation, org: &Org) {
    json.opt("name", participant.name.as_deref());
    let user = participant.user.and_then(|user| org.users.get(user));
    json.opt("userId", user.map(|user| user.id.as_str()));
    if let Route::Queue(queue) = conversation.route {
        json.opt("queueId", org.queues.get(queue).map(|queue| queue.id.as_str()));
    }
}

fn address(participant: &Participant) -> &'static str {
    if participant.purpose == "customer" { "tel:+15550100042" } else { "sip:agent@example.invalid" }
}

fn wrapup(json: &mut Json, participant: &Participant) {
    if let Some(ms) = participant.wrapup_ms {
        json.open("wrapup").str("code", "resolved-remotely");
        json.str("notes", "called back; customer \"very\" happy — 1 €")
            .open_list("tags")
            .close_list();
        json.num("durationSeconds", 5).time("endTime", Some(ms)).close();
    }
}

fn attributes(
    json: &mut Json,
    participant: &Participant,
    conversation: &Conversation,
    now_ms: u64,
) {
    if participant.purpose != "customer" {
        json.open("attributes").close();
        return;
    }
    json.open("attributes").str("ivr.lastSeen", &now_ms.to_string());
    for (key, value) in &conversation.attributes {
        json.str(key, value);
    }
    json.close();
}

fn leg(json: &mut Json, participant: &Participant, media: Media, odd: Odd) {
    json.open("").str("state", participant.state).str("initialState", "alerting");
    if media != Media::Chat {
        json.str("direction", "inbound");
    }
    json.str("id", &participant.leg_id);
    json.bool("held", participant.held).str("provider", "Sim Edge");
    json.opt("disconnectType", participant.disconnect);
    json.time("connectedTime", participant.connected_ms);
    json.time("disconnectedTime", participant.ended_ms);
    json.bool("afterCallWorkRequired", participant.purpose == "agent");
    match media {
        Media::Voice => {
            json.bool("recording", true).bool("muted", false).bool("confined", false);
            json.str("recordingState", "active").bool("securePause", false);
            json.open("self").str("addressNormalized", "+15550100001").close();
            json.open("other").str("addressNormalized", "+15550100042").close();
            json.open_list("disconnectReasons").close_list();
        }
        Media::Chat => drop(json.str("roomId", "room@conference.example.invalid")),
        Media::Email => {
            json.str("subject", "Re: Frage zur Rechnung „März“").num("messagesSent", 2);
            json.bool("spam", false).bool("autoGenerated", false);
        }
        Media::Callback => {
            json.open_list("callbackNumbers").str("", "+15550100042").close_list();
            json.str("callbackUserName", "EXAMPLE CUSTOMER");
        }
        Media::Message => {
            json.str("type", "webmessaging");
            json.open("toAddress").str("addressNormalized", "to").close();
            json.open("fromAddress").str("addressNormalized", "from").close();
            json.open_list("messages").close_list();
        }
    }
    json.open("queueMediaSettings");
    if odd.awkward {
        json.str("unheardOf", "☃");
    }
    json.close().close();
}

fn specific(json: &mut Json, conversation: &Conversation, org: &Org, now_ms: u64, serial: u64) {
    json.str("id", &conversation.id).str("name", "").open_list("participants");
    for participant in &conversation.participants {
        json.open("").str("id", &participant.id);
        json.time("startTime", participant.connected_ms);
        json.time("connectedTime", participant.connected_ms);
        json.time("endTime", participant.ended_ms);
        json.str("purpose", participant.purpose).str("state", participant.state);
        json.str("direction", "inbound").bool("held", participant.held);
        if conversation.media == Media::Voice {
            json.str("ani", "tel:+15550100042").str("dnis", "tel:+15550100001");
        }
        json.opt("disconnectType", participant.disconnect).str("provider", "Sim Edge");
        if let Some(user) = participant.user.and_then(|user| org.users.get(user)) {
            json.open("user").str("id", &user.id).str("name", &user.name).close();
        }
        if let Route::Queue(queue) = conversation.route
            && let Some(queue) = org.queues.get(queue)
        {
            json.open("queue").str("id", &queue.id).str("name", &queue.name).close();
        }
        attributes(json, participant, conversation, now_ms);
        json.close();
    }
    json.close_list().open_list("otherMediaUris");
    json.str("", &format!("/api/v2/conversations/{}?{serial}", conversation.id)).close_list();
}

fn detail(json: &mut Json, conversation: &Conversation, org: &Org, now_ms: u64) {
    let Some(last) = conversation.participants.last() else {
        return;
    };
    let kind = conversation.detail;
    json.num("eventTime", now_ms).str("conversationId", &conversation.id);
    json.str("participantId", &last.id);
    json.open_list("conversationExternalContactIds").close_list();
    // no model has it: it makes each event one of its own, and readers meet an unknown key
    json.num("step", u64::from(conversation.steps));
    if kind == "attributes" {
        json.open("attributes");
        for (key, value) in &conversation.attributes {
            json.str(key, value);
        }
        json.close();
        return;
    }
    json.str("sessionId", &last.leg_id);
    json.str("mediaType", conversation.media.upper()).str("provider", "Sim Edge");
    json.str("direction", "INBOUND").str("ani", "tel:+15550100042").str("dnis", "tel:+15550100001");
    let of = |group: &str| kind.split_once('.').is_some_and(|(first, _)| first == group);
    if of("user") {
        let user = last.user.and_then(|user| org.users.get(user));
        json.opt("userId", user.map(|user| user.id.as_str()));
    }
    if let (Route::Queue(queue), true) = (conversation.route, of("user") || of("acd")) {
        json.opt("queueId", org.queues.get(queue).map(|queue| queue.id.as_str()));
    }
    if kind.ends_with(".end") {
        let duration = if of("flow") { "connectedDurationMs" } else { "interactingDurationMs" };
        json.str("disconnectType", "CLIENT").num(duration, u64::from(conversation.steps) * 900);
    }
}

fn metric(json: &mut Json, conversation: &Conversation, now_ms: u64, serial: u64) {
    json.str("recordId", &format!("{}-{serial}", conversation.id));
    json.str("conversationId", &conversation.id).str("metric", "tHandle");
    json.time("metricDate", Some(now_ms)).num("value", u64::from(conversation.steps) * 1_000);
    json.str("mediaType", &conversation.media.upper().to_lowercase());
}
