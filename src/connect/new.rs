//! What an admin wants of a new connection, and what comes of it.

use secrecy::SecretString;
use url::Url;

use crate::domain::organization::{Connection, Kind};
use crate::domain::{ConnectionKey, OrganizationSlug};

/// How the forge is to believe us.
#[derive(Debug, Clone)]
pub enum NewCredential {
    /// With a personal, group or project token.
    Token(SecretString),
    /// As an installation of an App that there is already.
    App(Box<NewApp>),
}

/// An App that there is already.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// Its number.
    pub id: u64,
    /// Its private key, PEM.
    pub private_key: SecretString,
    /// Its name for sign-in.
    pub client_id: Option<String>,
    /// Its secret for sign-in.
    pub client_secret: Option<SecretString>,
    /// What signs its deliveries.
    pub webhook_secret: Option<SecretString>,
    /// The installation; looked for at the account when it is not told.
    pub installation: Option<u64>,
}

/// A connection that an admin wants.
#[derive(Debug, Clone)]
pub struct NewConnection {
    /// Whose.
    pub organization: OrganizationSlug,
    /// Which of the four.
    pub kind: Kind,
    /// The forge's base URL; needed for the two on-premise kinds.
    pub url: Option<Url>,
    /// The account's name, exactly.
    pub account: String,
    /// The name it shall have; made of forge and account when it is not told.
    pub key: Option<ConnectionKey>,
    /// Whether it shall manage the organization's members; when it is not told, the first one at the founder's forge does.
    pub authority: Option<bool>,
    /// How we are believed.
    pub credential: NewCredential,
    /// Who wants it.
    pub by: String,
    /// A file keeps it: whoever applies the file ends it when the file lets go of it.
    pub kept_by_file: bool,
}

/// What was made.
#[derive(Debug, Clone)]
pub struct Added {
    /// The connection.
    pub connection: Connection,
    /// What should be known all the same.
    pub remarks: Vec<String>,
    /// Where the forge sends to, and what proves it, for a hook that somebody sets up by hand. Shown only now.
    pub hook: Option<(Url, SecretString)>,
}
