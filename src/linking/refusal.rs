//! Why a browser's way ends here. Each says what is safe and what to do next; none repeats a forge's words.

use super::proof::Unproven;
use crate::provider::ProviderError;
use crate::store::StoreError;

/// Why it does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No `state`, or one that is wrong, old, used, of another browser, of another forge or for something else. They all
    /// look the same.
    #[error(
        "this answer of the forge does not belong to what you began in this browser, or it came a second time"
    )]
    State,
    /// The person did not go on at the forge.
    #[error("nothing was allowed at the forge")]
    GivenUp,
    /// The step is not the one that is due.
    #[error("this step is not the next one")]
    Step,
    /// The manifest's code was used, or is older than an hour.
    #[error("the forge does not take the code of the new App any more")]
    CodeUsed,
    /// The App was made for another account than the one that was chosen.
    #[error("the App was made for another account than the one you named")]
    MadeElsewhere,
    /// The App's secrets could not be sealed, or not be written.
    #[error("the App was made, and its secrets could not be kept")]
    Unkept,
    /// The App that is to be installed is not known here any more.
    #[error("the App is not known here any more")]
    NoApp,
    /// The address names no installation.
    #[error("the forge named no installation")]
    NoInstallation,
    /// The code of the sign-in was refused.
    #[error("the forge does not take the code of the sign-in")]
    SignIn,
    /// The proof failed.
    #[error("{0}")]
    Unproven(Unproven),
    /// Another organization here holds the account. Whose it is, is told to nobody.
    #[error("this account cannot be connected to this organization")]
    Held,
    /// The organization has it already, by another connection.
    #[error("this account is connected already, as {0}")]
    Connected(String),
    /// The account was rejected by an admin here.
    #[error("an admin has rejected this account; allow it first")]
    Rejected,
    /// Somebody else wrote at the same moment.
    #[error("something about this connection changed at the same moment")]
    Changed,
    /// The forge.
    #[error("{0}")]
    Forge(ProviderError),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// No random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
}

impl Refusal {
    /// A stable word for the audit log.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::State => "state",
            Self::GivenUp => "given-up",
            Self::Step => "step",
            Self::CodeUsed => "code-used",
            Self::MadeElsewhere => "made-elsewhere",
            Self::Unkept => "unkept",
            Self::NoApp => "no-app",
            Self::NoInstallation => "no-installation",
            Self::SignIn => "sign-in",
            Self::Unproven(why) => why.as_str(),
            Self::Held => "held",
            Self::Connected(_) => "connected",
            Self::Rejected => "rejected",
            Self::Changed => "changed",
            Self::Forge(_) => "forge",
            Self::Store(_) => "store",
            Self::NoRandom => "no-random",
        }
    }

    /// What to do next.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::State => {
                "Nothing was connected. Begin again with a new link, and go through to the end in one browser within ten minutes a step."
            }
            Self::GivenUp => "Nothing was connected. You can try again from the step before.",
            Self::Step => "Go back to the step that is due.",
            Self::CodeUsed | Self::Unkept | Self::MadeElsewhere => {
                "Nothing was kept here. Delete the new App in the forge's settings, then create it again."
            }
            Self::NoApp => "Nothing was connected. Make a new link and create the App again.",
            Self::NoInstallation => "Nothing was connected. Install the App again from the step before.",
            Self::SignIn => {
                "Nothing was connected. Install again from the step before; an App that is installed stays so."
            }
            Self::Unproven(why) => why.help(),
            Self::Held => "Nothing was connected. Ask whoever runs this server; more is told to nobody.",
            Self::Connected(_) => {
                "Nothing was changed. Disconnect that connection first if this one is to take its place."
            }
            Self::Rejected => {
                "Nothing was connected. An admin can allow the account with \"scm-connect connections allow\"."
            }
            Self::Changed => "Nothing was connected. Try again.",
            Self::Forge(_) => "Nothing was connected. Try again when the forge can be reached.",
            Self::Store(_) | Self::NoRandom => {
                "Nothing was connected. Try again, or ask whoever runs this server."
            }
        }
    }
}

impl Unproven {
    /// What to do next.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::OtherApp | Self::OutOfReach => {
                "Nothing was connected. Sign in at the forge as the owner who installed the App, then install again from the step before."
            }
            Self::NoAccount => {
                "Nothing was connected. Install the App on an organization or on your own account."
            }
            Self::OtherAccount => {
                "Nothing was connected. Install the App on the account that you named, or begin again and name the other one."
            }
            Self::NotTheirs => "Nothing was connected. Only its owner can connect a personal account.",
            Self::NoMember | Self::NoOwner => {
                "Nothing was connected. Ask an owner of the organization to open a new link and go through these steps."
            }
            Self::Invited => {
                "Nothing was connected. Accept the invitation at the forge first; then an owner can connect it."
            }
        }
    }
}
