//! A broker and a schema registry in one process, to try `trunkline run` without installing
//! either. Prints their addresses; obeys lines on standard input, see `trunkline::demo::stand`.
//!
//! ```text
//! cargo run --example stand
//! ```

use std::io::Write as _;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use trunkline::demo::stand::Stand;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let topics = [
        ("genesys.conversation.events", 12),
        ("genesys.conversation.quarantine", 3),
        ("genesys.conversation.gaps", 1),
        ("genesys.conversation.certificates", 1),
        ("trunkline.state", 16),
    ];
    let mut stand = Stand::start(&topics).await?;
    let addresses = serde_json::json!({"bootstrap": stand.bootstrap_servers(), "registry": stand.registry_url()});
    say(&addresses.to_string())?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        for answer in stand.obey(&line).await {
            say(&answer)?;
        }
    }
    Ok(())
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
