//! Single stages, one after the other.

use std::time::Instant;

use trunkline::decode::{body, open::Opener};
use trunkline::encode::Encoder;
use trunkline_protocol::dedupe::{Dedupe, Window};
use trunkline_protocol::domain::{Event, Mono};
use trunkline_protocol::envelope;
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::privacy::Preset;
use trunkline_protocol::topic::class_of;

use crate::corpus::{ORG, frame, frames, policy, provenance};

pub(crate) fn single_stages() {
    let texts = frames(20_000);
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("\nsingle stages, {} bytes a frame\n\n| stage | ns |\n|---|---|", bytes / texts.len());
    let time = |name: &str, work: &mut dyn FnMut(usize)| {
        let best = (0..5)
            .map(|_| {
                let began = Instant::now();
                (0..texts.len()).for_each(&mut *work);
                began.elapsed().as_nanos() / texts.len() as u128
            })
            .min();
        println!("| {name} | {} |", best.unwrap_or(0));
    };
    time("sniff", &mut |n| _ = std::hint::black_box(envelope::sniff(&texts[n])));
    let mut opener = Opener::new(ORG.to_owned(), Canonical::AsReceived);
    time("copy, envelope and identity, 64 at once", &mut |n| {
        if n.is_multiple_of(64) {
            let mut some = texts[n..].iter().take(64).map(|text| frame(text)).collect();
            drop(std::hint::black_box(opener.open_all(&mut some)));
        }
    });
    time("copy, envelope and identity, one alone", &mut |n| {
        drop(std::hint::black_box(opener.open(frame(&texts[n]))));
    });
    let events: Vec<Event> =
        texts.iter().map(|t| opener.open(frame(t)).expect("an event")).collect();
    for preset in Preset::ALL {
        let policy = policy(preset);
        time(&format!("privacy policy, preset {}", preset.as_str()), &mut |n| {
            std::hint::black_box(policy.apply(events[n].body()).expect("JSON"));
        });
    }
    let mut dedupe = Dedupe::new(Window::default());
    time("dedupe", &mut |n| {
        std::hint::black_box(dedupe.offer(events[n].id, n as u64, 0, Mono(1)));
    });
    time("body to facts", &mut |n| drop(std::hint::black_box(body::read(&events[n]))));
    let facts: Vec<_> = events.iter().map(|event| body::read(event).expect("facts")).collect();
    let mut encoder = Encoder::new(1, provenance(), true);
    time("facts to Avro", &mut |n| {
        std::hint::black_box(encoder.encode(&events[n], &facts[n], class_of));
    });
}
