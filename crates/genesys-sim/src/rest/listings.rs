//! What else can be asked: the organisation, its queues and people, tokens, limits.

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::http::{Answer, Request};
use crate::traffic::{Queue, User};

/// Kinds of objects topics are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Queues.
    Queue,
    /// People.
    User,
}

/// Namespaces of limits that are known to exist.
const NAMESPACES: [&str; 8] = [
    "notifications",
    "platform.api",
    "auth.api",
    "analytics",
    "analytics.data.extraction",
    "analytics.realtime",
    "conversation",
    "event.orchestration",
];

impl Cloud {
    /// Creates a queue or a person while running; returns its id. Without a division it is at home.
    pub fn create_object(&mut self, kind: Kind, name: &str) -> String {
        let (id, name) = (self.random_id(), name.to_owned());
        let org = self.traffic.org_mut();
        let (made, division, deleted) = (id.clone(), 0, false);
        match kind {
            Kind::Queue => org.queues.push(Queue { id, name, division, deleted }),
            Kind::User => org.users.push(User { id, name, division, deleted }),
        }
        made
    }

    /// Changes the name or the division, by name or id, of a queue or a person while running.
    ///
    /// # Errors
    /// Says which of both does not exist.
    pub fn change_object(
        &mut self,
        kind: Kind,
        id: &str,
        name: Option<&str>,
        division: Option<&str>,
    ) -> Result<(), String> {
        let org = self.traffic.org_mut();
        let unknown = |division: &str| format!("there is no division {division:?}");
        let place = division.map(|d| org.division(d).ok_or_else(|| unknown(d))).transpose()?;
        let found = match kind {
            Kind::Queue => {
                let queue = org.queues.iter_mut().find(|q| q.id == id && !q.deleted);
                queue.map(|q| (&mut q.name, &mut q.division))
            }
            Kind::User => {
                let user = org.users.iter_mut().find(|u| u.id == id && !u.deleted);
                user.map(|u| (&mut u.name, &mut u.division))
            }
        };
        let (old, at) = found.ok_or("there is no such object")?;
        if let Some(name) = name {
            name.clone_into(old);
        }
        *at = place.unwrap_or(*at);
        Ok(())
    }

    /// Deletes a queue or a person while running; says whether there was one.
    pub fn delete_object(&mut self, kind: Kind, id: &str) -> bool {
        let org = self.traffic.org_mut();
        let deleted = match kind {
            Kind::Queue => org.queues.iter_mut().find(|q| q.id == id).map(|q| &mut q.deleted),
            Kind::User => org.users.iter_mut().find(|u| u.id == id).map(|u| &mut u.deleted),
        };
        deleted.is_some_and(|deleted| !std::mem::replace(deleted, true))
    }

    pub(super) fn organisation(&self) -> Answer {
        let org = &self.traffic.org().id;
        Answer::json(200, &json!({"id": org, "name": "Example Org", "version": 1}))
    }

    pub(super) fn token_info(&self, client: &str) -> Answer {
        let org = json!({"id": self.traffic.org().id, "name": "Example Org"});
        let client =
            json!({"id": client, "name": client, "authorizedGrantType": "CLIENT-CREDENTIALS"});
        Answer::json(
            200,
            &json!({"organization": org, "homeOrganization": org,
                    "authorizedScope": self.settings.scopes, "OAuthClient": client}),
        )
    }

    pub(super) fn queues(&self, request: &Request) -> Answer {
        if self.lacks("routing:queue:view") {
            return Answer::forbidden("routing:queue:view");
        }
        let queues = self.traffic.org().queues.iter().filter(|queue| !queue.deleted);
        let entities = queues.filter(|queue| is_asked_for(request, &queue.id, &queue.name));
        let row =
            |q: &Queue| json!({"id": q.id, "name": q.name, "division": self.division(q.division)});
        page(request, entities.map(row).collect())
    }

    pub(super) fn users(&self, request: &Request) -> Answer {
        let asked = request.query.get("state").map_or("active", String::as_str);
        let state = |user: &User| if user.deleted { "deleted" } else { "active" };
        let users = self.traffic.org().users.iter();
        let entities = users
            .filter(|user| asked == "any" || asked == state(user))
            .filter(|user| is_asked_for(request, &user.id, &user.name))
            .map(|u| {
                json!({"id": u.id, "name": u.name, "state": state(u), "version": 1,
                       "division": self.division(u.division)})
            });
        page(request, entities.collect())
    }

    fn division(&self, at: usize) -> Value {
        let division = self.traffic.org().divisions.get(at);
        division.map_or(Value::Null, |division| json!({"id": division.id, "name": division.name}))
    }

    pub(super) fn limits_of(&self, namespace: &str) -> Answer {
        if self.lacks("limits:organization:view") {
            return Answer::forbidden("limits:organization:view");
        }
        let namespace = namespace.strip_suffix("/defaults").unwrap_or(namespace);
        if !NAMESPACES.contains(&namespace) {
            return Answer::not_found();
        }
        let requests = u64::from(self.settings.requests_per_minute);
        let jobs = self.settings.jobs_at_once as u64;
        let limits: &[(&str, u64)] = match namespace {
            "platform.api" => &[
                ("client.credentials.token.rate.per.minute", requests),
                ("token.rate.per.minute", requests),
                ("org.app.user.rate.per.minute", requests),
                ("request.bytes.max", super::MAX_BODY as u64),
            ],
            "analytics" => &[("details.jobs.concurrent.access.max", jobs)],
            // no number of these is published
            _ => &[],
        };
        let entity = |(key, value): &(&str, u64)| json!({"key": key, "namespace": namespace, "value": value});
        let entities: Vec<Value> = limits.iter().map(entity).collect();
        Answer::json(200, &json!({"entities": entities}))
    }
}

/// Whether the filters of a listing let this object through.
fn is_asked_for(request: &Request, id: &str, name: &str) -> bool {
    let ids = request.query.get("id").filter(|ids| !ids.is_empty());
    let names = request.query.get("name").filter(|name| !name.is_empty());
    ids.is_none_or(|ids| ids.split(',').any(|asked| asked == id))
        && names.is_none_or(|part| name.to_lowercase().contains(&part.to_lowercase()))
}

fn page(request: &Request, all: Vec<Value>) -> Answer {
    let number = |key: &str, default: usize| {
        request.query.get(key).and_then(|v| v.parse().ok()).unwrap_or(default).max(1)
    };
    let (size, page) = (number("pageSize", 25).min(500), number("pageNumber", 1));
    let total = all.len();
    let pages = total.div_ceil(size);
    let uri = |number: usize| format!("{}?pageSize={size}&pageNumber={number}", request.path);
    let entities: Vec<Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
    let mut body = json!({"entities": entities, "pageSize": size, "pageNumber": page,
                          "total": total, "pageCount": pages, "selfUri": uri(page),
                          "firstUri": uri(1), "lastUri": uri(pages.max(1))});
    if page < pages {
        body["nextUri"] = uri(page + 1).into();
    }
    if page > 1 {
        body["previousUri"] = uri(page - 1).into();
    }
    Answer::json(200, &body)
}
