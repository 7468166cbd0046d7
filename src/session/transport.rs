//! Opens a WebSocket, over TLS or plain.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, handshake::client::Response};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    connect_async_tls_with_config,
};

use super::Refusal;
use crate::proxy::Proxies;

/// An open socket.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why no socket can be opened at all.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The file with further authorities cannot be used.
    #[error("cannot read certificate authorities from {path}")]
    Authorities {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no certificate.
    #[error("{path} holds no PEM certificate")]
    NoCertificate {
        /// The file.
        path: String,
    },
    /// The TLS library refuses its own defaults.
    #[error("cannot set up TLS")]
    Tls(#[source] tokio_rustls::rustls::Error),
}

/// Opens WebSockets. Cheap to clone.
#[derive(Clone)]
pub struct Transport {
    tls: Arc<ClientConfig>,
    proxies: Proxies,
    timeout: Duration,
}

/// Beyond this a message ends the socket: it cannot be read into bounded memory.
const MAX_MESSAGE: usize = 64 << 20;

impl Transport {
    /// Trusts the machine's authorities and those of `ca_file`.
    ///
    /// # Errors
    /// [`TransportError`] when the file cannot be used; a start-up error.
    pub fn new(
        ca_file: Option<&Path>,
        proxies: Proxies,
        timeout: Duration,
    ) -> Result<Self, TransportError> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(native.certs);
        if let Some(path) = ca_file {
            let shown = path.display().to_string();
            let pem = std::fs::read(path)
                .map_err(|source| TransportError::Authorities { path: shown.clone(), source })?;
            let own: Vec<CertificateDer<'static>> =
                CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
            if own.is_empty() {
                return Err(TransportError::NoCertificate { path: shown });
            }
            roots.add_parsable_certificates(own);
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TransportError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls), proxies, timeout })
    }

    /// Opens a socket. The URL is a secret and appears in no error.
    pub(crate) async fn dial(&self, url: &str) -> Result<Socket, Refusal> {
        let nothing = Refusal { status: None, retry_after: None };
        let request = url.into_client_request().map_err(|_| nothing.clone())?;
        let config = WebSocketConfig::default()
            .read_buffer_size(64 << 10)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let connector = Connector::Rustls(Arc::clone(&self.tls));
        let dial = async {
            match self.proxies.tunnel(request.uri()).await {
                None => {
                    let (config, connector) = (Some(config), Some(connector));
                    connect_async_tls_with_config(request, config, true, connector).await
                }
                Some(Ok(tunnel)) => {
                    let (config, connector) = (Some(config), Some(connector));
                    client_async_tls_with_config(request, tunnel, config, connector).await
                }
                Some(Err(error)) => {
                    let proxy = self.proxies.on_the_way(request.uri()).unwrap_or_default();
                    tracing::warn!(code = "proxy_refused", proxy, %error, "no way through the proxy");
                    Err(WsError::Io(error))
                }
            }
        };
        match tokio::time::timeout(self.timeout, dial).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(WsError::Http(response))) => Err(refusal(&response)),
            Ok(Err(_)) | Err(_) => Err(nothing),
        }
    }
}

fn refusal(response: &Response) -> Refusal {
    let hint = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    Refusal { status: Some(response.status().as_u16()), retry_after: hint.map(str::to_owned) }
}
