//! What a running daemon cannot change: a config that differs in it is refused until a restart.

use super::{Config, Listen};

impl Config {
    /// The keys in which another config differs and that only a restart can put in force.
    #[must_use]
    pub fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        // Named one by one, so that a new section does not compile until somebody has decided where it belongs.
        let Self {
            public_url,
            listen,
            store,
            key_file,
            limits,
            retention,
            catch_up,
            ci: _,
            organizations: _,
            sources: _,
            connections: _,
        } = self;
        let Listen { public, ops, tls, trusted_proxies } = listen;
        let cold = [
            ("public_url", *public_url != other.public_url),
            ("listen.public", *public != other.listen.public),
            ("listen.ops", *ops != other.listen.ops),
            // Its files are read again; only whether there is TLS at all is decided when the port is opened.
            ("listen.tls", tls.is_some() != other.listen.tls.is_some()),
            ("listen.trusted_proxies", *trusted_proxies != other.listen.trusted_proxies),
            ("store", *store != other.store),
            ("keys.file", *key_file != other.key_file),
            ("limits", *limits != other.limits),
            ("retention", *retention != other.retention),
            ("catch_up", *catch_up != other.catch_up),
        ];
        cold.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r48_what_only_a_restart_can_change_is_named() {
        let parse = |text: &str| Config::parse("x.toml", text, []).unwrap();
        let plain = parse("");
        for (text, keys) in [
            ("", &[][..]),
            ("[[organizations]]\nslug = \"acme\"\nname = \"Acme\"", &[]),
            ("[limits]\nbody_bytes_max = 1000000", &["limits"]),
            ("[retention]\npayload = \"3d\"", &["retention"]),
            ("[catch_up]\npolling = true", &["catch_up"]),
            ("[listen]\nops = \"127.0.0.1:1\"", &["listen.ops"]),
            ("[listen]\npublic = \"127.0.0.1:1\"", &["public_url", "listen.public"]),
            ("[listen]\ntls = { cert = \"c\", key = \"k\" }", &["public_url", "listen.tls"]),
            ("[store]\nurl = \"sled:elsewhere/store\"", &["store", "keys.file"]),
        ] {
            assert_eq!(plain.needs_restart(&parse(text)), keys, "{text}");
        }
        let tls = |name| parse(&format!("[listen]\ntls = {{ cert = \"{name}\", key = \"k\" }}"));
        assert!(tls("one").needs_restart(&tls("two")).is_empty());
    }
}
