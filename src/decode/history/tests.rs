use trunkline_protocol::domain::Interval;

use super::*;

/// A conversation in the published shape: a caller, a queue, an agent with after-call work.
const ROW: &str = r#"{
  "conversationId": "c-1", "conversationStart": "2026-01-05T10:00:00.000Z",
  "conversationEnd": "2026-01-05T10:05:00.000Z", "originatingDirection": "inbound",
  "divisionIds": ["d-1"], "mediaStatsMinConversationMos": 4.9,
  "participants": [
    {"participantId": "p-1", "purpose": "customer", "sessions": [
      {"sessionId": "s-1", "mediaType": "voice", "direction": "inbound", "ani": "tel:+1", "dnis": "tel:+2",
       "segments": [{"segmentStart": "2026-01-05T10:00:00.000Z", "segmentEnd": "2026-01-05T10:04:00.000Z",
                     "segmentType": "interact", "disconnectType": "peer", "conference": false}]}]},
    {"participantId": "p-2", "purpose": "agent", "userId": "u-1", "attributes": {"k": "v", "n": 7},
     "sessions": [
      {"sessionId": "s-2", "mediaType": "voice", "direction": "inbound",
       "metrics": [{"name": "tAcw", "value": 60000, "emitDate": "2026-01-05T10:05:00.007Z"}],
       "segments": [
        {"segmentStart": "2026-01-05T10:01:00.000Z", "segmentEnd": "2026-01-05T10:04:00.000Z",
         "segmentType": "interact", "queueId": "q-1", "disconnectType": "client"},
        {"segmentStart": "2026-01-05T10:04:00.000Z", "segmentEnd": "2026-01-05T10:05:00.000Z",
         "segmentType": "wrapup", "queueId": "q-1", "wrapUpCode": "w-1", "wrapUpNote": "n"}]}]}]}"#;

const START: i64 = 1_767_607_200_000;

#[test]
fn a_row_becomes_the_same_facts_as_a_notification() {
    let read = read(ROW).expect("a conversation");
    let facts = read.facts();
    let text = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or("-").to_owned();
    assert_eq!(facts.event_type, "conversation.history");
    assert_eq!(text(&facts.conversation_id), "c-1");
    assert_eq!(text(&facts.queue_id), "q-1");
    assert_eq!(text(&facts.media_type), "voice");
    assert_eq!(text(&facts.direction), "inbound");
    assert_eq!((text(&facts.ani), text(&facts.dnis)), ("tel:+1".to_owned(), "tel:+2".to_owned()));
    assert_eq!(facts.version, Some(START + 300_007));
    assert_eq!(text(&facts.conversation_state), "disconnected");
    let agent = &facts.participants[1];
    assert_eq!(text(&agent.wrapup_code), "w-1");
    assert_eq!(agent.connected_time, Some(START + 60_000));
    assert_eq!(agent.end_time, Some(START + 240_000));
    assert_eq!(agent.acw_end_time, Some(START + 300_000));
    let attributes = agent.attributes.as_ref().expect("jobs carry attributes");
    assert_eq!(*attributes, [("k".into(), "v".into()), ("n".into(), "7".into())]);
    assert_eq!(text(&agent.legs[0].disconnect_type), "client");
    assert_eq!(agent.legs[0].disconnected_time, Some(START + 300_000));
}

#[test]
fn a_row_knows_when_it_was_active_and_whom_it_concerns() {
    let read = read(ROW).expect("a conversation");
    let row = read.row();
    assert_eq!(row.marks.len(), 3);
    assert_eq!(row.marks[1].user.as_deref(), Some("u-1"));
    assert!(row.is_active(Interval::new(Wall(START + 299_000), Wall(START + 400_000))));
    assert!(!row.is_active(Interval::new(Wall(START + 301_000), Wall(START + 400_000))));
}

#[test]
fn a_living_conversation_without_anything_is_read_and_nonsense_is_not() {
    let living = read(r#"{"conversationId":"c","unknown":{}}"#).expect("a conversation");
    let facts = living.facts();
    assert_eq!((facts.version, facts.participants.len()), (None, 0));
    assert_eq!(facts.conversation_state.as_deref(), Some("connected"));
    for wrong in ["{}", "[]", "7", r#"{"conversationId":7}"#, r#"{"conversationId":"c""#] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
