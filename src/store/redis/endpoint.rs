//! How to get to a Redis, whatever stands there, and what one has when one is there.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr};
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisResult, TlsCertificates, TlsMode, Value,
};

use crate::config::{RedisKind, RedisUrl};

/// How many commands of a worker may be under way; the next ones wait, until their deadline.
const MOST_UNDER_WAY: usize = 1024;

/// How many commands may wait to be written.
const MOST_QUEUED: usize = 512;

/// How long an attempt to connect may take at least, TLS and authentication included.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);

/// How often a command is tried again when a cluster changes, and how long it waits for that, in
/// milliseconds. Its deadline may come first.
const MOST_RETRIES: u32 = 4;
const SHORTEST_RETRY: u64 = 10;
const LONGEST_RETRY: u64 = 100;

/// What is needed for a connection. Says no password when it is printed.
pub(super) struct Endpoint {
    url: RedisUrl,
    certificates: Option<TlsCertificates>,
    /// The deadline of an operation.
    timeout: Duration,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)
    }
}

/// A connection, over which any number of commands go at once. A handle: clones are the same one.
#[derive(Clone)]
pub(super) enum Connection {
    /// To one server, which may be the master that Sentinels know.
    Server(ConnectionManager),
    /// To the nodes of a cluster.
    Cluster(ClusterConnection),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Cluster(_) => "Cluster",
        })
    }
}

impl Endpoint {
    /// Reads the files that the URL names; connects to nothing.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or is not what it should be.
    pub(super) fn new(url: RedisUrl, timeout: Duration) -> Result<Self, String> {
        let certificates = match &url.tls {
            None => None,
            Some(tls) => {
                // Somebody else may have installed one already, which is as good.
                let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
                let root_cert = tls.cacert.as_deref().map(read).transpose()?;
                let client_tls = match &tls.cert {
                    Some((cert, key)) => Some(ClientTlsConfig {
                        client_cert: read(cert)?,
                        client_key: read(key)?,
                    }),
                    None => None,
                };
                Some(TlsCertificates {
                    client_tls,
                    root_cert,
                })
            }
        };
        let endpoint = Self {
            url,
            certificates,
            timeout,
        };
        let checked = match endpoint.url.kind {
            RedisKind::Single | RedisKind::Unix(_) => endpoint.client().map(drop),
            RedisKind::Sentinel(_) => endpoint.sentinels().map(drop),
            RedisKind::Cluster => endpoint.cluster().map(drop),
        };
        checked.map_err(|error| format!("{endpoint:?}: {error}"))?;
        Ok(endpoint)
    }

    /// How long an attempt to connect may take: one after another when there are several hosts.
    pub(super) fn longest_attempt(&self) -> Duration {
        let hosts = u32::try_from(self.url.hosts.len().max(1)).unwrap_or(u32::MAX);
        self.one_attempt().saturating_mul(hosts.saturating_add(1))
    }

    fn one_attempt(&self) -> Duration {
        self.timeout.max(SHORTEST_ATTEMPT)
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        let client = match self.url.kind {
            RedisKind::Single | RedisKind::Unix(_) => self.client()?,
            // Asked anew each time: after a failover another server is the master.
            RedisKind::Sentinel(_) => self.sentinels()?.async_get_client().await?,
            RedisKind::Cluster => {
                let connection = self.cluster()?.get_async_connection().await?;
                return Ok(Connection::Cluster(connection));
            }
        };
        // Deadlines of answers are the caller's; when to try again is the keeper's business.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(self.one_attempt()))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(MOST_QUEUED)
            .set_concurrency_limit(MOST_UNDER_WAY);
        let manager = ConnectionManager::new_with_config(client, config).await?;
        Ok(Connection::Server(manager))
    }

    /// Whether a broken connection may be made again to the same address as before.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.url.kind, RedisKind::Single | RedisKind::Unix(_))
    }

    /// `text` without the passwords, should it have any.
    pub(super) fn redact(&self, text: &str) -> String {
        let passwords = [&self.url.password, &self.url.sentinel_password];
        let mut text = text.replace(['\r', '\n'], " ");
        for password in passwords.into_iter().flatten() {
            if !password.0.is_empty() {
                text = text.replace(&password.0, "***");
            }
        }
        text
    }

    fn client(&self) -> RedisResult<Client> {
        let address = match &self.url.kind {
            RedisKind::Unix(path) => ConnectionAddr::Unix(path.clone()),
            RedisKind::Single | RedisKind::Sentinel(_) | RedisKind::Cluster => {
                let mut all = self.addresses();
                all.next().ok_or((
                    redis::ErrorKind::InvalidClientConfig,
                    "there is no host in the URL",
                ))?
            }
        };
        let info = self.info(address)?;
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }

    fn sentinels(&self) -> RedisResult<SentinelClient> {
        let RedisKind::Sentinel(name) = &self.url.kind else {
            return Err((redis::ErrorKind::InvalidClientConfig, "no Sentinels").into());
        };
        let master = SentinelServerType::Master;
        let mut builder = SentinelClientBuilder::new(self.addresses(), name, master)?
            .set_client_to_redis_db(self.url.db)
            .set_client_to_redis_tcp_settings(settings())
            .set_client_to_sentinel_tcp_settings(settings());
        if let Some(certificates) = &self.certificates {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates.clone());
        }
        if let Some(name) = &self.url.username {
            builder = builder.set_client_to_redis_username(name);
        }
        if let Some(password) = &self.url.password {
            builder = builder.set_client_to_redis_password(&password.0);
        }
        if let Some(name) = &self.url.sentinel_username {
            builder = builder.set_client_to_sentinel_username(name);
        }
        if let Some(password) = &self.url.sentinel_password {
            builder = builder.set_client_to_sentinel_password(&password.0);
        }
        builder.build()
    }

    fn cluster(&self) -> RedisResult<ClusterClient> {
        let nodes: RedisResult<Vec<_>> = self.addresses().map(|one| self.info(one)).collect();
        let mut builder = ClusterClientBuilder::new(nodes?)
            .connection_timeout(self.one_attempt())
            .response_timeout(self.timeout)
            .retries(MOST_RETRIES)
            .min_retry_wait(SHORTEST_RETRY)
            .max_retry_wait(LONGEST_RETRY)
            .overall_response_timeout(Some(self.timeout))
            .connection_concurrency_limit(MOST_UNDER_WAY)
            .tcp_settings(settings());
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.clone());
        }
        builder.build()
    }

    fn addresses(&self) -> impl Iterator<Item = ConnectionAddr> {
        let is_tls = self.url.tls.is_some();
        self.url.hosts.iter().cloned().map(move |(host, port)| {
            if !is_tls {
                return ConnectionAddr::Tcp(host, port);
            }
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        })
    }

    fn info(&self, address: ConnectionAddr) -> RedisResult<ConnectionInfo> {
        let mut login = RedisConnectionInfo::default().set_db(self.url.db);
        if let Some(name) = &self.url.username {
            login = login.set_username(name);
        }
        if let Some(password) = &self.url.password {
            login = login.set_password(&password.0);
        }
        let info = address.into_connection_info()?;
        Ok(info.set_redis_settings(login).set_tcp_settings(settings()))
    }
}

/// Commands are small and many wait for each: they are not held back to be joined.
fn settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

impl Connection {
    /// Sends a command to where its key belongs.
    pub(super) async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Sends a command to the master that has `slot`, if there are slots.
    pub(super) async fn ask_at(&mut self, slot: u16, command: &Cmd) -> RedisResult<Value> {
        let node = match Slot::new(slot) {
            Some(slot) => {
                SingleNodeRoutingInfo::SpecificNode(Route::with_slot(slot, SlotAddr::Master))
            }
            None => SingleNodeRoutingInfo::RandomPrimary,
        };
        self.ask_node(node, command).await
    }

    /// Sends a command to any node.
    pub(super) async fn ask_any(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.ask_node(SingleNodeRoutingInfo::RandomPrimary, command)
            .await
    }

    async fn ask_node(&mut self, node: SingleNodeRoutingInfo, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => {
                let routing = RoutingInfo::SingleNode(node);
                let answer = connection.route_command(command.clone(), routing).await?;
                answer.extract_error()
            }
        }
    }

    /// Whether it is to a cluster, where one node may be lost and the others go on.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}
