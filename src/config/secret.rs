//! A secret: read, never shown.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use super::Config;

/// A secret of the configuration. Printing or serialising it gives `***`.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(SecretString);

impl Secret {
    /// Keeps a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// For whoever must send it.
    #[must_use]
    pub fn secret(&self) -> SecretString {
        self.0.clone()
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Config {
    /// Every secret of the configuration, set or not, by its field.
    #[must_use]
    pub fn secrets(&self) -> Vec<(String, Option<&Secret>)> {
        let clients = self.genesys.clients.iter().enumerate();
        let clients = clients
            .map(|(n, client)| (format!("genesys.clients[{n}].secret"), client.secret.as_ref()));
        let others = [
            ("genesys.eventbridge.secret_access_key", &self.genesys.eventbridge.secret_access_key),
            ("genesys.proxy.password", &self.genesys.proxy.password),
            ("kafka.sasl_password", &self.kafka.sasl_password),
            ("schema_registry.password", &self.schema_registry.password),
            ("schema_registry.token", &self.schema_registry.token),
            ("staging.password", &self.staging.password),
            ("privacy.hash_key", &self.privacy.hash_key),
            ("admin.token", &self.admin.token),
        ];
        clients.chain(others.map(|(name, secret)| (name.to_owned(), secret.as_ref()))).collect()
    }

    /// Secrets that stand among properties of the Kafka client, by their field.
    #[must_use]
    pub fn secret_properties(&self) -> Vec<(String, Secret)> {
        let sections = [("security", &self.kafka.security), ("overrides", &self.kafka.overrides)];
        let all = sections.into_iter().flat_map(|(section, properties)| {
            let kept = properties.iter().filter(|(name, _)| is_secret(name));
            kept.map(move |(name, value)| {
                (format!("kafka.{section}.{name}"), Secret::new(value.clone()))
            })
        });
        all.collect()
    }
}

/// Whether a field, or a property of the Kafka client, is nobody's business: passwords, keys, what logs in.
pub(super) fn is_secret(name: &str) -> bool {
    const ENDS: [&str; 8] = [
        "password",
        "secret",
        "secret_access_key",
        "hash_key",
        "token",
        "key.pem",
        "jaas.config",
        "oauthbearer.config",
    ];
    ENDS.iter().any(|end| name.ends_with(end))
}

/// Properties of the Kafka client, secret ones as `***`.
pub(super) fn masked<S: Serializer>(
    properties: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let value = |name: &str, value: &'_ str| {
        if is_secret(name) { "***".to_owned() } else { value.to_owned() }
    };
    serializer.collect_map(properties.iter().map(|(name, text)| (name, value(name, text))))
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_among_the_properties_of_the_client_print_as_stars() {
        let mut config = Config::default();
        let properties = [
            ("security.protocol", "SSL"),
            ("ssl.key.password", "planted-1"),
            ("ssl.key.pem", "planted-2"),
            ("ssl.key.location", "/key.pem"),
            ("sasl.oauthbearer.client.secret", "planted-3"),
        ];
        config.kafka.security =
            properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        config.kafka.overrides.insert("sasl.password".to_owned(), "planted-4".to_owned());
        let text = serde_json::to_string(&config).expect("a configuration");
        assert!(!text.contains("planted"), "{text}");
        assert!(text.contains("/key.pem") && text.contains("SSL"), "{text}");
        assert_eq!(config.secret_properties().len(), 4);
    }
}
