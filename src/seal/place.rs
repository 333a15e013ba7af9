//! Where a sealed value belongs.

/// What a value is sealed for. Each purpose has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A data key, wrapped by the master key.
    DataKey,
    /// A delivery with its body.
    DeliveryBody,
    /// A frame of the records log.
    RecordsLog,
    /// A snapshot of the records.
    Snapshot,
    /// A forge's credential.
    Credential,
    /// A session.
    Session,
    /// A backup.
    Backup,
    /// A scanner's report, put aside.
    Report,
}

impl Purpose {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Backup as usize + 1;

    /// The word from which the purpose's key is derived; never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DataKey => "data-key",
            Self::DeliveryBody => "delivery-body",
            Self::RecordsLog => "records-log",
            Self::Snapshot => "snapshot",
            Self::Credential => "credential",
            Self::Session => "session",
            Self::Backup => "backup",
            Self::Report => "report",
        }
    }
}

/// The only place where a sealed value opens.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// What for.
    pub purpose: Purpose,
    /// Whose: `source:our-app`, `organization:acme`, `instance`.
    pub scope: &'a str,
    /// Which row.
    pub row: &'a [u8],
    /// Which field of it.
    pub field: &'a str,
}

impl Place<'_> {
    /// The bytes that are authenticated with the value: each part led by its length, so that no two places look alike.
    pub(super) fn bytes(&self, version: u8, key: u32) -> Vec<u8> {
        let mut bytes = vec![version];
        bytes.extend_from_slice(&key.to_le_bytes());
        for part in [self.purpose.as_str().as_bytes(), self.scope.as_bytes(), self.row, self.field.as_bytes()]
        {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}
