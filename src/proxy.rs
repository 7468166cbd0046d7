//! Which requests and sockets go through an HTTP proxy: the configured one, or those of `HTTPS_PROXY`,
//! `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

use std::io;
use std::sync::Arc;

use http::{Uri, uri::Scheme};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpStream;
use tower_service::Service as _;

/// A proxy that is configured; the environment does not count then.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    /// `http://host:port`.
    pub url: url::Url,
    /// User and password that it asks for.
    pub credentials: Option<(String, SecretString)>,
    /// Hosts, domains and networks that are reached without it, as in `NO_PROXY`.
    pub except: Vec<String>,
}

/// The way to a host. Cheap to clone.
#[derive(Clone)]
pub struct Proxies {
    matcher: Arc<Matcher>,
    own: Option<ProxySettings>,
}

impl Proxies {
    /// Those of the environment unless one is configured.
    #[must_use]
    pub fn new(own: Option<ProxySettings>) -> Self {
        let matcher = match &own {
            None => Matcher::from_env(),
            Some(own) => Matcher::builder().all(own.url()).no(own.except.join(",")).build(),
        };
        Self { matcher: Arc::new(matcher), own }
    }

    /// The configured one. Where none is, a library that asks the environment by itself does the same.
    #[must_use]
    pub fn own(&self) -> Option<&ProxySettings> {
        self.own.as_ref()
    }

    /// The proxy on the way to this address, without its credentials.
    #[must_use]
    pub fn on_the_way(&self, url: &Uri) -> Option<String> {
        let proxy = self.matcher.intercept(&as_http(url)?)?;
        let at = proxy.uri();
        Some(format!("{}://{}", at.scheme_str()?, at.authority()?.as_str().rsplit('@').next()?))
    }

    /// A connection to the host of this address, by way of a tunnel where a proxy is on the way; `None`
    /// where none is.
    ///
    /// # Errors
    /// The proxy is not reached, or refuses. Neither is an answer of the platform.
    pub async fn tunnel(&self, url: &Uri) -> Option<io::Result<TcpStream>> {
        let target = as_http(url)?;
        let proxy = self.matcher.intercept(&target)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let tunnel = Tunnel::new(proxy.uri().clone(), connector);
        let mut tunnel = match proxy.basic_auth() {
            Some(auth) => tunnel.with_auth(auth.clone()),
            None => tunnel,
        };
        let stream = tunnel.call(with_port(target)?).await;
        Some(stream.map(hyper_util::rt::TokioIo::into_inner).map_err(io::Error::other))
    }
}

impl ProxySettings {
    /// With its credentials, as the library reads it.
    fn url(&self) -> String {
        let mut url = self.url.clone();
        if let Some((user, password)) = &self.credentials {
            // neither fails for a URL that has a host, which this one has
            url.set_username(user).ok();
            url.set_password(Some(password.expose_secret())).ok();
        }
        url.into()
    }
}

/// Proxies know two schemes; sockets have others.
fn as_http(url: &Uri) -> Option<Uri> {
    let mut parts = url.clone().into_parts();
    parts.scheme = Some(match url.scheme_str()? {
        "ws" | "http" => Scheme::HTTP,
        _ => Scheme::HTTPS,
    });
    Uri::from_parts(parts).ok()
}

/// A tunnel wants a port.
fn with_port(url: Uri) -> Option<Uri> {
    if url.port().is_some() {
        return Some(url);
    }
    let port = if url.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
    let authority = format!("{}:{port}", url.host()?);
    let mut parts = url.into_parts();
    parts.authority = Some(authority.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(except: &[&str]) -> Proxies {
        let except = except.iter().map(|host| (*host).to_owned()).collect();
        let credentials = Some(("me".to_owned(), SecretString::from("p@ss:word")));
        let url = "http://proxy.example:3128".parse().unwrap();
        Proxies::new(Some(ProxySettings { url, credentials, except }))
    }

    #[test]
    fn sockets_and_requests_go_through_it_but_not_to_the_hosts_that_are_left_out() {
        let proxies = proxies(&["example.net", "10.0.0.0/8"]);
        let way = |url: &'static str| proxies.on_the_way(&Uri::from_static(url));
        let through = Some("http://proxy.example:3128".to_owned());
        assert_eq!(way("wss://streaming.example.com/channels/1"), through);
        assert_eq!(way("https://api.example.com"), through);
        assert_eq!(way("ws://127.0.0.1:8080/x"), through);
        assert_eq!(way("wss://a.example.net/x"), None);
        assert_eq!(way("wss://10.1.2.3/x"), None);
    }

    #[test]
    fn credentials_with_odd_characters_are_sent_as_they_are_and_never_shown() {
        let proxies = proxies(&[]);
        let url = Uri::from_static("https://api.example.com");
        let on_the_way = proxies.matcher.intercept(&url).unwrap();
        let auth = on_the_way.basic_auth().unwrap().to_str().unwrap();
        assert_eq!(auth, "Basic bWU6cEBzczp3b3Jk");
        assert!(!proxies.on_the_way(&url).unwrap().contains("me"));
    }

    #[test]
    fn a_tunnel_is_asked_for_with_a_port() {
        let port = |url| with_port(as_http(&Uri::from_static(url)).unwrap()).unwrap().port_u16();
        assert_eq!(port("wss://a.example/x"), Some(443));
        assert_eq!(port("ws://a.example/x"), Some(80));
        assert_eq!(port("wss://a.example:8443/x"), Some(8443));
    }
}
