//! The page of a platform that is empty, well, struck, large, and lied to.

use super::buttons::BUTTONS;
use super::*;
use crate::faults::Fault;
use crate::http::Request;
use crate::traffic::{Profile, Traffic};
use crate::{Cloud, Settings};

/// A platform on whose channels as many sockets are open.
fn platform(channels: usize, settings: Settings) -> Cloud {
    let traffic = Traffic::new(1, Profile { queues: 2, ..Profile::default() });
    let mut cloud = Cloud::new(settings, traffic, 1, "ws://sim", 0);
    let ask = |cloud: &mut Cloud, path: &str, authorization: &str, body: &str| {
        let request = Request {
            method: "POST".to_owned(),
            path: path.to_owned(),
            authorization: Some(authorization.to_owned()),
            body: body.as_bytes().to_vec(),
            ..Request::default()
        };
        let answer = cloud.handle(&request, 1_000);
        serde_json::from_str::<serde_json::Value>(&answer.body).unwrap()
    };
    let basic = "Basic c2ltLWNsaWVudDpzaW0tc2VjcmV0";
    let token = ask(&mut cloud, "/oauth/token", basic, "grant_type=client_credentials");
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    for _ in 0..channels {
        let made = ask(&mut cloud, "/api/v2/notifications/channels", &bearer, "");
        cloud.upgrade(made["id"].as_str().unwrap(), 2_000).unwrap();
    }
    cloud
}

fn shown(cloud: &Cloud, said: Option<Said>) -> String {
    let look = cloud.look(62_000);
    let seen = Seen { look: &look, traffic: "flowing", said };
    let whole = whole(&seen);
    assert!(whole.contains(&part(&seen)), "what is fetched again is what the page holds");
    whole
}

fn strike(cloud: &mut Cloud, text: &str) {
    cloud.inject(serde_json::from_str::<Fault>(text).unwrap());
    cloud.tick(60_000);
}

#[test]
fn an_empty_platform_says_so_and_has_all_its_buttons() {
    let page = shown(&platform(0, Settings::default()), None);
    assert!(page.contains("answer watch") && page.contains("Nobody is connected"));
    for button in BUTTONS {
        let hidden = format!("name=\"what\" value=\"{}\"", button.what.as_str());
        assert_eq!(page.matches(&hidden).count(), 1, "{hidden}");
    }
    assert_eq!(page.matches("action=\"/sim/press\"").count(), BUTTONS.len());
    assert_eq!(page.matches("<button").count(), BUTTONS.len());
}

#[test]
fn every_field_of_every_button_is_there_filled_in_and_described() {
    let page = shown(&platform(2, Settings::default()), None);
    for button in BUTTONS {
        let id = format!("id=\"{}\"", button.what.as_str());
        let form = page.split("<form ").find(|form| form.contains(&id)).unwrap();
        let form = form.split("</form>").next().unwrap();
        for field in button.fields {
            let (named, says) =
                (format!("name=\"{}\"", field.name), format!("<small>{}<", field.says));
            assert!(form.contains(&named) && form.contains(&says), "{named} of {form}");
            let filled = [
                format!("value=\"{}\"", field.filled),
                format!("<option selected>{}<", field.filled),
            ];
            assert!(filled.iter().any(|filled| form.contains(filled)), "{named} of {form}");
        }
        let whom = form.contains("name=\"whom\"");
        assert_eq!(form.contains("<option>client:sim-client</option>"), whom, "{form}");
    }
    assert!(page.contains("<option>channel:2</option>"));
}

#[test]
fn a_fault_is_shown_while_it_is_in_force_with_what_is_left_of_it() {
    let mut cloud = platform(2, Settings::default());
    assert!(shown(&cloud, None).contains("<h1 id=\"title\">Everything works</h1>"));
    strike(&mut cloud, r#"{"what":"half_open","whom":"channel:2"}"#);
    let page = shown(&cloud, None);
    assert!(page.contains("answer watch") && page.contains("1 fault in force"));
    assert!(page.contains("<b>half_open</b><span>channel 2</span><span>until it ends"));
    assert!(page.contains("<span class=\"chip\" title=\"until it ends\">half_open</span>"));
    strike(&mut cloud, r#"{"what":"outage","for_ms":32000}"#);
    let page = shown(&cloud, None);
    assert!(page.contains("answer bad") && page.contains("Outage: nothing answers, 30 s more"));
    assert!(page.contains("<span class=\"chip\">reset <b>2</b></span>"), "both sockets were cut");
    assert_eq!(page.matches("<td class=\"down\">none").count(), 2);
}

#[test]
fn what_a_fault_did_is_a_sentence() {
    let mut cloud = platform(10, Settings::default());
    for (text, said) in [
        (r#"{"what":"silence","for_ms":1}"#, "silence: hit channel 1."),
        (
            r#"{"what":"close","whom":"all"}"#,
            "close: hit channels 1, 2, 3, 4, 5, 6, 7, 8 and 2 more.",
        ),
        (r#"{"what":"reset"}"#, "reset: hit nobody, no such socket is open."),
        (r#"{"what":"http_status","for_ms":9}"#, "http_status: in force."),
        (r#"{"what":"revoke","whom":"all"}"#, "revoke: 1 token revoked."),
        (r#"{"what":"outage","for_ms":9}"#, "outage: in force, 0 sockets cut."),
        (r#"{"what":"kill"}"#, "kill: told to the program that embeds the simulator, if one does."),
    ] {
        strike(&mut cloud, text);
        assert_eq!(done(cloud.applied().last().unwrap()), said);
    }
}

#[test]
fn whatever_others_say_is_text() {
    let clients = vec![
        ("sim-client".to_owned(), "sim-secret".to_owned()),
        ("<i>".to_owned(), "s".to_owned()),
    ];
    let mut cloud = platform(1, Settings { clients, ..Settings::default() });
    strike(&mut cloud, r#"{"what":"close","args":{"reason":"</main><script>alert(1)</script>"}}"#);
    let page = shown(&cloud, Some(Said::Wrong("code: is \"<img src=x>\"".to_owned())));
    for markup in ["<i>", "</main><script", "<img"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("&lt;/main&gt;&lt;script&gt;") && page.contains("&lt;img src=x&gt;"));
    assert!(!page.contains("sim-secret"));
}

#[test]
fn nothing_in_the_page_is_fetched_from_elsewhere_and_nothing_runs_or_is_styled_within_it() {
    let page = shown(&platform(2, Settings::default()), None);
    for banned in ["http://", "https://", "style=", " onclick", "<style", "javascript:"] {
        assert!(!page.contains(banned), "{banned}");
    }
    assert_eq!(page.matches("<script").count(), 1, "the file of its own");
}

#[test]
fn many_channels_make_no_endless_page() {
    let settings =
        Settings { channels_per_client: 5_000, requests_per_minute: 0, ..Settings::default() };
    let mut cloud = platform(1_000, settings);
    strike(&mut cloud, r#"{"what":"silence","whom":"all","for_ms":90000}"#);
    let page = shown(&cloud, None);
    assert!(page.contains("900 channels more.") && page.contains("1,000 faults in force"));
    assert!(page.len() < 200_000, "{} bytes", page.len());
}
