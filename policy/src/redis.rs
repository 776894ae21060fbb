//! Where Redis is: `MODELUX_REDIS_URL` as both planes read it.
//!
//! | written | means |
//! | --- | --- |
//! | `redis://[user:password@]host[:port][/database]` | one server |
//! | `redis-sentinel://[user:password@]host[:port][,host[:port]…]/service[/database]` | the master of `service`, as these sentinels name it |
//! | `redis-cluster://[user:password@]host[:port][,host[:port]…]` | a cluster, found through any of these nodes |
//!
//! With `rediss` in place of `redis` every connection is over TLS. User, password and database are those of the servers; sentinels are
//! asked without a password.
//!
//! Promises: what comes out are addresses of single servers in the form that every client library reads; what is refused is named
//! without the password. Leaves out: connecting.

use std::str::FromStr;

use url::Url;

const SENTINEL_PORT: u16 = 26_379;
const SERVER_PORT: u16 = 6_379;

/// Where Redis is.
#[derive(Clone, PartialEq, Eq)]
pub enum RedisAddress {
    /// One server.
    Server(String),
    /// The master of a service.
    Sentinel {
        /// Who knows which server it is, in the order in which they are asked.
        sentinels: Vec<String>,
        /// What sentinels call it.
        service: String,
        /// The address of a server with the login, the database and the TLS of all of them; its host means nothing.
        like: String,
    },
    /// A cluster, by the nodes through which it is found.
    Cluster(Vec<String>),
}

/// Why an address can't be used. Says nothing of the password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisAddressError {
    /// None of the six.
    #[error(
        "`{0}` is no kind of Redis; it starts with `redis://`, `redis-sentinel://` or `redis-cluster://`, or with `rediss` in place of \
         `redis` for TLS"
    )]
    Scheme(String),
    /// A character in user or password that ends the part of the address they are in.
    #[error("write `/`, `?`, `#` and `@` in a user or password as `%2F`, `%3F`, `%23` and `%40`")]
    Login,
    /// Not a host, or not a port.
    #[error("`{0}` is not a host, or a host and a port")]
    Host(String),
    /// A sentinel address without the name of a service.
    #[error("the service is missing: `redis-sentinel://host:port/service`")]
    Service,
    /// Something after the host that is no number.
    #[error("`{0}` is not the number of a database")]
    Database(String),
    /// A cluster has no databases.
    #[error("a cluster has no databases: nothing goes after its hosts, and there is `{0}`")]
    ClusterDatabase(String),
}

/// Passwords are not printed.
impl std::fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Server(…)",
            Self::Sentinel { .. } => "Sentinel(…)",
            Self::Cluster(_) => "Cluster(…)",
        })
    }
}

impl FromStr for RedisAddress {
    type Err = RedisAddressError;

    fn from_str(text: &str) -> Result<Self, RedisAddressError> {
        let (scheme, rest) = text.split_once("://").unwrap_or((text.split_once(':').map_or("", |(scheme, _)| scheme), ""));
        let (transport, kind) = scheme.split_once('-').unwrap_or((scheme, ""));
        if !matches!(transport, "redis" | "rediss") {
            return Err(RedisAddressError::Scheme(scheme.to_owned()));
        }
        let (login, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        if login.contains(['/', '?', '#']) {
            return Err(RedisAddressError::Login);
        }
        let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
        let written = Written { transport, login, hosts, path };
        match kind {
            "" if scheme == transport => written.server(text),
            "sentinel" => written.sentinel(),
            "cluster" => written.cluster(),
            _ => Err(RedisAddressError::Scheme(scheme.to_owned())),
        }
    }
}

/// An address in its parts.
struct Written<'a> {
    transport: &'a str,
    login: &'a str,
    hosts: &'a str,
    path: &'a str,
}

impl Written<'_> {
    /// Taken as it is, with whatever a client library reads behind a `?`.
    fn server(&self, text: &str) -> Result<RedisAddress, RedisAddressError> {
        self.address("", self.hosts.split('?').next().unwrap_or_default(), SERVER_PORT)?;
        check_database(self.path.split('?').next().unwrap_or_default())?;
        Ok(RedisAddress::Server(text.to_owned()))
    }

    fn sentinel(&self) -> Result<RedisAddress, RedisAddressError> {
        let (service, database) = self.path.split_once('/').unwrap_or((self.path, ""));
        if service.is_empty() || service.contains(['?', '#']) {
            return Err(RedisAddressError::Service);
        }
        check_database(database)?;
        let like = format!("{}/{database}", self.address(self.login, "service", SERVER_PORT)?);
        Ok(RedisAddress::Sentinel { sentinels: self.addresses("", SENTINEL_PORT)?, service: service.to_owned(), like })
    }

    fn cluster(&self) -> Result<RedisAddress, RedisAddressError> {
        if !self.path.is_empty() {
            return Err(RedisAddressError::ClusterDatabase(self.path.to_owned()));
        }
        Ok(RedisAddress::Cluster(self.addresses(self.login, SERVER_PORT)?))
    }

    fn addresses(&self, login: &str, port: u16) -> Result<Vec<String>, RedisAddressError> {
        self.hosts.split(',').map(|host| self.address(login, host, port)).collect()
    }

    /// The address of one server, with its port.
    fn address(&self, login: &str, host: &str, port: u16) -> Result<String, RedisAddressError> {
        let refused = || RedisAddressError::Host(host.to_owned());
        let at = if login.is_empty() { "" } else { "@" };
        let address = Url::parse(&format!("{}://{login}{at}{host}", self.transport)).map_err(|_| refused())?;
        let sound = address.path().is_empty() && address.query().is_none() && address.fragment().is_none();
        let name = address.host_str().filter(|name| !name.is_empty() && sound).ok_or_else(refused)?;
        Ok(format!("{}://{login}{at}{name}:{}", self.transport, address.port().unwrap_or(port)))
    }
}

fn check_database(written: &str) -> Result<(), RedisAddressError> {
    if written.is_empty() || written.parse::<u32>().is_ok() {
        return Ok(());
    }
    Err(RedisAddressError::Database(written.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<RedisAddress>().unwrap_err().to_string()
    }

    #[test]
    fn one_server_is_taken_as_it_is_written() {
        for text in ["redis://cache", "rediss://u:p%40ss@cache:6380/2", "redis://[::1]:7000/0", "redis://cache/?protocol=resp3"] {
            assert_eq!(text.parse(), Ok(RedisAddress::Server(text.to_owned())));
        }
    }

    #[test]
    fn the_login_of_a_service_is_its_servers_and_not_the_sentinels() {
        let address = "rediss-sentinel://u:p%40ss@one,two:26380/main/3".parse().unwrap();
        let RedisAddress::Sentinel { sentinels, service, like } = address else { panic!("not a service") };
        assert_eq!(sentinels, ["rediss://one:26379", "rediss://two:26380"]);
        assert_eq!((service.as_str(), like.as_str()), ("main", "rediss://u:p%40ss@service:6379/3"));
    }

    #[test]
    fn every_node_of_a_cluster_takes_the_login() {
        let address = "redis-cluster://:secret@one:7001,[::1]:7002,three".parse();
        let nodes = ["redis://:secret@one:7001", "redis://:secret@[::1]:7002", "redis://:secret@three:6379"];
        assert_eq!(address, Ok(RedisAddress::Cluster(nodes.map(str::to_owned).to_vec())));
    }

    #[test]
    fn what_can_not_be_used_is_named_without_the_password() {
        assert!(refusal("http://cache:1").starts_with("`http` is no kind of Redis"));
        assert!(refusal("redis-ring://cache:1").starts_with("`redis-ring` is no kind of Redis"));
        assert!(refusal("cache:6379").starts_with("`cache` is no kind of Redis"));
        assert_eq!(refusal("redis://:hunter2@cache:port"), "`cache:port` is not a host, or a host and a port");
        assert!(refusal("redis://:hunter/2@cache").starts_with("write `/`"));
        assert_eq!(refusal("redis-cluster://:hunter2@one:1,"), "`` is not a host, or a host and a port");
        assert_eq!(refusal("redis://cache/main"), "`main` is not the number of a database");
        assert_eq!(refusal("redis-sentinel://:hunter2@one"), "the service is missing: `redis-sentinel://host:port/service`");
        assert_eq!(refusal("redis-sentinel://one/main/first"), "`first` is not the number of a database");
        assert!(refusal("redis-cluster://one/1").starts_with("a cluster has no databases"));
    }

    #[test]
    fn passwords_are_not_printed() {
        for text in ["redis://:hunter2@h", "redis-sentinel://:hunter2@h/s", "redis-cluster://:hunter2@h"] {
            assert!(!format!("{:?}", text.parse::<RedisAddress>()).contains("hunter2"));
        }
    }
}
