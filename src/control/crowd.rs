//! Watches whether somebody else makes channels under the OAuth client.

use trunkline_protocol::gate::{Endpoint, Priority};

use super::{Client, Control};
use crate::observe::status::Conflict;

/// Counts the channels of every client that is this process's alone; runs for as long as it does.
pub(super) async fn watch(control: Control, mut clients: Vec<Client>) {
    clients.retain(|client| !client.is_shared());
    let mut known = Vec::new();
    loop {
        for client in &clients {
            let counted =
                client.call(Endpoint::Channels, Priority::Verify, |http, token| async move {
                    http.count_channels(&token).await
                });
            // without an answer nothing is known, and nothing is said
            if let Ok(count) = counted.await {
                client.crowd().counted(count, control.clock.mono());
            }
        }
        let now = control.clock.mono();
        let others = clients.iter().map(|client| (client.index(), client.crowd().others(now)));
        let others: Vec<(usize, u32)> = others.filter(|(_, count)| *count > 0).collect();
        if others != known {
            say(&control, &others);
            known = others;
        }
        tokio::time::sleep(control.timings.crowd_look).await;
    }
}

fn say(control: &Control, others: &[(usize, u32)]) {
    for (client, channels) in others {
        tracing::error!(
            code = "client_shared",
            client,
            channels,
            "somebody else makes channels under genesys.clients[client]: both share twenty of them and its requests; give each process a client of its own"
        );
    }
    if others.is_empty() {
        tracing::info!(
            code = "conflict_over",
            kind = Conflict::Client.as_str(),
            "no other process has it any more"
        );
    }
    let line = |(client, channels): &(usize, u32)| {
        format!(
            "somebody else made {channels} channels under genesys.clients[{client}]: give each process a client of its own"
        )
    };
    let lines: Vec<String> = others.iter().map(line).collect();
    control.board.conflict(Conflict::Client, (!lines.is_empty()).then(|| lines.join("; ")));
}
