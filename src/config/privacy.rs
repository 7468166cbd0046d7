//! What leaves the process: sections `privacy` and `quarantine`, and the policy they make.

use std::path::PathBuf;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use trunkline_protocol::privacy::{Action, Group, HashKey, Parts, Path, Policy, Preset, Rule};

use super::{Config, Secret};

/// What leaves the process.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Privacy {
    /// Must be written: `none` sends everything, `pseudonymous` and `strict` do not.
    pub preset: Option<Preset>,
    /// Key of hashed values, hexadecimal or base64, 32 bytes or more; better in a file.
    pub hash_key: Option<Secret>,
    /// File that holds the key.
    pub hash_key_file: Option<PathBuf>,
    /// Rules of your own; they win over the preset.
    pub rules: Vec<PrivacyRule>,
    /// Whether records carry the body.
    pub keep_payload: bool,
}

/// One rule: where, and what becomes of it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacyRule {
    /// By path, e.g. `$.participants[*].attributes.iban` or `$..iban`.
    pub path: Option<String>,
    /// By group of names, in place of what the preset says of it.
    pub group: Option<Group>,
    /// `drop`, `hash`, `mask` or `keep`.
    pub action: Option<Action>,
}

/// What could not become a record.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuarantineConfig {
    /// Whether what cannot be read is quarantined as it came although a privacy policy is in force.
    pub raw: QuarantineRaw,
}

/// See [`QuarantineConfig::raw`].
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineRaw {
    /// Under a policy its length, digest and reason only; without one as it came.
    #[default]
    Digest,
    /// As it came, whatever the policy.
    Keep,
}

impl Default for Privacy {
    fn default() -> Self {
        let (preset, hash_key, hash_key_file) = (None, None, None);
        Self { preset, hash_key, hash_key_file, rules: Vec::new(), keep_payload: true }
    }
}

impl Config {
    /// The policy; what is wrong with it goes to `wrong`, by field.
    pub fn policy(&self, wrong: &mut dyn FnMut(&str, String)) -> Policy {
        let privacy = &self.privacy;
        let preset = privacy.preset.unwrap_or(Preset::None);
        let mut groups = Group::ALL.map(|group| (group, preset.action(group))).to_vec();
        let mut own = Vec::new();
        for (index, rule) in privacy.rules.iter().enumerate() {
            let field = |name: &str| format!("privacy.rules[{index}].{name}");
            let Some(action) = rule.action else {
                wrong(&field("action"), "is required; allowed: drop, hash, mask, keep".to_owned());
                continue;
            };
            match (&rule.path, rule.group) {
                (None, Some(group)) => groups.push((group, action)),
                (Some(text), None) => match Path::parse(text) {
                    Ok(path) if action != Action::Keep && renames(&path) => {
                        let problem = "would change the conversation's id, by which records are keyed and held against history; name the members that are meant";
                        wrong(&field("path"), format!("is {text:?}: it {problem}"));
                    }
                    Ok(path) => own.push(Rule { path, action }),
                    Err(error) => wrong(&field("path"), format!("is {text:?}: {error}")),
                },
                (Some(_), Some(_)) | (None, None) => {
                    let words = Group::ALL.map(Group::as_str).join(", ");
                    let problem = format!("or group ({words}) is required, one of the two");
                    wrong(&field("path"), problem);
                }
            }
        }
        let hashes = own.iter().any(|rule| rule.action == Action::Hash)
            || Group::ALL.iter().any(|group| {
                let last = groups.iter().rfind(|(named, _)| named == group);
                last.is_some_and(|(_, action)| *action == Action::Hash)
            });
        let key = self.hash_key(hashes, wrong);
        let keep_raw = self.quarantine.raw == QuarantineRaw::Keep;
        Policy::new(Parts { groups, own, key, keep_raw })
    }

    fn hash_key(&self, wanted: bool, wrong: &mut dyn FnMut(&str, String)) -> Option<HashKey> {
        const ALLOWED: &str = "allowed: 32 bytes or more, not all the same, as hexadecimal digits or base64, e.g. of openssl rand -hex 32";
        let privacy = &self.privacy;
        let (field, place) = match &privacy.hash_key_file {
            Some(path) => ("privacy.hash_key_file", path.display().to_string()),
            None => ("privacy.hash_key", "***".to_owned()),
        };
        let Some(key) = &privacy.hash_key else {
            // a file that cannot be read has been named already
            if wanted && privacy.hash_key_file.is_none() {
                let problem = format!("is required where values are hashed; {ALLOWED}");
                wrong("privacy.hash_key_file", problem);
            }
            return None;
        };
        let found = bytes(key.expose()).and_then(|bytes| HashKey::new(&bytes));
        if found.is_none() {
            wrong(field, format!("is {place}: it holds no key; {ALLOWED}"));
        }
        found
    }
}

/// Hexadecimal digits, else base64 in either alphabet, padded or not.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
        let (pairs, rest) = digits.as_chunks::<2>();
        let byte = |[high, low]: &[u32; 2]| u8::try_from(high << 4 | low).ok();
        return if rest.is_empty() { pairs.iter().map(byte).collect() } else { None };
    }
    let padding =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [STANDARD, URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, padding).decode(text).ok())
}

/// Whether a rule would touch what names a conversation, in notifications or in history.
fn renames(path: &Path) -> bool {
    let own = vec![Rule { path: path.clone(), action: Action::Mask }];
    let policy = Policy::new(Parts { own, ..Parts::default() });
    let bodies = [r#"{"id":"c"}"#, r#"{"conversationId":"c"}"#, r#"{"conversation":{"id":"c"}}"#];
    bodies.iter().any(|body| policy.apply(body).is_ok_and(|after| after != **body))
}
