//! What the manual (`docs/simulator.md`) says of the platform and no test beside the code proves.

mod analytics;
mod channels;
mod direct;
mod events;
mod oauth;
mod rest;
mod sockets;
mod subscriptions;
