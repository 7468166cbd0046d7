//! Carries faults out: whom they concern and what happens to them.

use serde_json::json;

use crate::channels::SocketId;
use crate::cloud::{Active, Cloud, Output};
use crate::ends::How;
use crate::faults::{Applied, Fault, Of, What, Whom};

impl Cloud {
    /// Sockets a fault concerns, the oldest first.
    fn whom(&self, whom: &Whom) -> Vec<SocketId> {
        let mut open: Vec<(u64, SocketId)> =
            self.sockets.iter().map(|(id, open)| (open.opened_ms, *id)).collect();
        open.sort_unstable();
        let mut all = open.iter().map(|(_, id)| *id);
        match whom {
            Whom::All => all.collect(),
            Whom::Oldest => all.take(1).collect(),
            Whom::Newest => all.next_back().into_iter().collect(),
            Whom::Channel(number) => {
                all.filter(|id| self.sockets.get(id).is_some_and(|s| s.number == *number)).collect()
            }
            Whom::Client(client) => {
                all.filter(|id| self.sockets.get(id).is_some_and(|s| s.client == *client)).collect()
            }
        }
    }

    pub(crate) fn apply(&mut self, fault: Fault, now_ms: u64) {
        let sockets = self.whom(&fault.whom);
        let channels =
            sockets.iter().filter_map(|id| self.sockets.get(id)).map(|open| open.number).collect();
        let index = self.faults.applied.len();
        let effects = sockets.len() as u64;
        let mut applied = Applied { at_ms: now_ms, what: fault.what, channels, effects };
        match fault.what {
            What::AcceptClose | What::HttpStatus | What::Slow | What::Outage => {
                (applied.channels, applied.effects) = (Vec::new(), 0);
                let (until_ms, left) = (now_ms + fault.for_ms, fault.args.count);
                if fault.what == What::Outage {
                    self.cut_everything(&mut applied);
                }
                self.faults.active.push(Active { fault, until_ms, left, index });
            }
            What::BrokerDown => {
                (applied.channels, applied.effects) = (Vec::new(), 1);
                self.outputs.push_back(Output::BrokerDown { for_ms: fault.for_ms });
            }
            What::Kill => {
                (applied.channels, applied.effects) = (Vec::new(), 1);
                self.outputs.push_back(Output::Kill);
            }
            What::Revoke => {
                // a revocation concerns a client, whichever of its sockets was named
                let client = match &fault.whom {
                    Whom::Client(client) => Some(client.clone()),
                    Whom::All => None,
                    Whom::Oldest | Whom::Newest | Whom::Channel(_) => sockets
                        .first()
                        .and_then(|id| self.sockets.get(id))
                        .map(|open| open.client.clone()),
                };
                applied.effects = self.oauth.revoke_client(client.as_deref()) as u64;
                if let (Some(client), Some(secret)) = (&client, &fault.args.secret) {
                    self.oauth.renew(client, secret);
                }
                if let Some(client) = client.filter(|_| fault.args.disable == Some(true)) {
                    self.oauth.disable(&client);
                }
                sockets.into_iter().for_each(|id| self.revoke_socket(id));
            }
            What::Reset
            | What::HalfOpen
            | What::Close
            | What::IdleClose
            | What::SocketClosing
            | What::Silence
            | What::LostPong
            | What::Evict
            | What::Expire => {
                for id in sockets {
                    self.hit(id, &fault, now_ms);
                }
            }
        }
        self.faults.applied.push(applied);
    }

    fn cut_everything(&mut self, applied: &mut Applied) {
        let ids: Vec<SocketId> = self.sockets.keys().copied().collect();
        for id in ids {
            applied.channels.extend(self.sockets.get(&id).map(|open| open.number));
            self.detach(id, How::Reset, "outage");
            self.outputs.push_back(Output::Reset(id));
        }
    }

    fn revoke_socket(&mut self, id: SocketId) {
        let code = self.settings.end_code;
        if let Some(channel) = self.sockets.get(&id).and_then(|open| open.channel.clone()) {
            let topic = format!("v2.system.token_revoked.{channel}");
            let body = json!({"channelId": channel, "systemTopicType": "token_revoked",
                              "reason": "user_tokens_revoked"});
            self.system(id, &topic, &body);
        }
        self.close(id, code, "");
    }

    fn hit(&mut self, id: SocketId, fault: &Fault, now_ms: u64) {
        let notice_ms = self.settings.closing_notice_ms;
        let Some(open) = self.sockets.get_mut(&id) else {
            return;
        };
        match fault.what {
            What::HalfOpen => {
                open.frozen = true;
                self.outputs.push_back(Output::Freeze(id));
            }
            What::Silence if fault.args.of == Some(Of::Heartbeats) => {
                open.no_heartbeat_until_ms = now_ms + fault.for_ms;
            }
            What::Silence => open.silent_until_ms = now_ms + fault.for_ms,
            What::LostPong => {
                open.pongs_to_lose += fault.args.count.unwrap_or(1);
                open.pong_delay_ms = fault.args.delay_ms;
            }
            What::Reset => {
                self.detach(id, How::Reset, "");
                self.outputs.push_back(Output::Reset(id));
            }
            What::Close => {
                let reason = fault.args.reason.clone().unwrap_or_default();
                self.close(id, fault.args.code.unwrap_or(1000), &reason);
            }
            What::IdleClose => self.close(id, 1001, "idle timeout"),
            What::SocketClosing => {
                let wait = if fault.for_ms > 0 { fault.for_ms } else { notice_ms };
                if fault.args.close != Some(false) {
                    let code = fault.args.code.unwrap_or(1001);
                    open.close_at = Some((now_ms + wait, code, "maintenance".to_owned()));
                }
                // a direct connection is not warned unless asked for (assumed)
                let warned = fault.args.notice.unwrap_or(open.channel.is_some());
                let channel = open.channel.clone().unwrap_or_default();
                if warned {
                    let body = json!({"channelId": channel, "message": "This socket will be closed in 60 seconds"});
                    self.system(id, "v2.system.socket_closing", &body);
                }
            }
            What::Evict | What::Expire => {
                if let Some(channel) = open.channel.clone() {
                    self.end_channel(&channel);
                }
            }
            What::AcceptClose
            | What::HttpStatus
            | What::Slow
            | What::Revoke
            | What::Outage
            | What::BrokerDown
            | What::Kill => {}
        }
    }
}
