//! Every fault that the daemon can meet while it runs: one stable code in the log, one series in `/metrics`, and the
//! three sentences that the operator's guide needs (reliability R50).

use super::metric::{self, Metric, Value};

macro_rules! faults {
    ($($name:ident = $code:literal, $grave:literal, $means:literal, $safe:literal, $next:literal;)*) => {
        /// A fault. Its code is part of the public contract: alerts name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault {
            $(#[doc = $means] $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable word: `code` in the log, the label of `scm_connect_faults_total`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Whether somebody must look now; else the daemon goes on by itself.
            #[must_use]
            pub const fn is_grave(self) -> bool {
                match self { $(Self::$name => $grave,)* }
            }

            /// What it means.
            #[must_use]
            pub const fn means(self) -> &'static str {
                match self { $(Self::$name => $means,)* }
            }

            /// What is safe meanwhile.
            #[must_use]
            pub const fn safe(self) -> &'static str {
                match self { $(Self::$name => $safe,)* }
            }

            /// What to do next.
            #[must_use]
            pub const fn next(self) -> &'static str {
                match self { $(Self::$name => $next,)* }
            }
        }
    };
}

faults! {
    StoreFailed = "store-failed", true,
        "A write or a sync of the store failed for good.",
        "Everything acknowledged is on stable storage, and nothing more is acknowledged.",
        "Look at the disk. The process ends with exit code 3; its next start recovers by itself.";
    ProcessEnds = "process-ends", true,
        "The daemon ends because its store has stopped.",
        "Everything acknowledged is on stable storage.",
        "Look at the fault before it, then start the daemon again if nothing does so by itself.";
    StoreRefused = "store-refused", true,
        "The store did not do what a request asked for, and the request was answered with an error.",
        "Nothing was changed, and a delivery so refused was not acknowledged.",
        "Look at /healthz?verbose: it says which part is in which state. A forge's delivery can be sent again.";
    StoreUnwritable = "store-unwritable", true,
        "A write to the store was refused or took too long: /readyz says no.",
        "Everything acknowledged is on stable storage; deliveries are refused politely.",
        "Look at the disk's space and speed. The next write that succeeds ends it.";
    StoreRebuilt = "store-rebuilt", false,
        "The database was damaged or had lost rows after a crash, and was built anew at the start.",
        "Nothing is lost: the snapshot and the log have every record.",
        "Nothing. If it comes without a crash before it, look at the disk.";
    DatabaseSetting = "database-setting", false,
        "A setting of the database, or of the way to it, is weaker than it could be; the line names it.",
        "Everything works, and what is acknowledged is committed.",
        "Change the setting as the line says.";
    StoreDamaged = "store-damaged", true,
        "Something that is kept is not what was written: a bad disk, or somebody has changed the files.",
        "Everything else. What is damaged is named, and never answered as if it were right.",
        "scm-connect store verify names all of it. Restore a backup, or let go of it with store verify --accept-loss.";
    StoreSlowClose = "store-slow-close", false,
        "The store did not close in time during a stop.",
        "Everything acknowledged is in the log.",
        "Nothing; the next start replays the log and takes a little longer.";
    CrashTailCut = "crash-tail-cut", false,
        "Bytes that a crash had left half-written at the end of the journal were cut off at the start.",
        "None of them had been acknowledged.",
        "Nothing. If it comes without a crash before it, look at the disk.";
    LogStaysLong = "log-stays-long", false,
        "The log of records could not be shortened: there is no room for a snapshot.",
        "Everything is in the log.",
        "Free some space beside the store.";
    DiskFull = "disk-full", true,
        "The store's disk has too little room: deliveries are refused, /readyz says no.",
        "Everything acknowledged is kept, and the API and the pages still answer.",
        "Free some space or shorten retention. Deliveries are taken again by themselves within seconds.";
    ReserveSpent = "reserve-spent", false,
        "The space set aside for a full disk was given up so that work under way can be written down.",
        "Everything acknowledged is kept.",
        "Free some space; the reserve is set aside again by itself.";
    NotReady = "not-ready", true,
        "A delivery could not be kept right now, for the reasons in the line.",
        "Everything acknowledged is on stable storage.",
        "Look at the reasons; the line says when it is over.";
    ClockJumped = "clock-jumped", false,
        "The machine's clock moved by more than a minute against its own monotonic clock.",
        "Deliveries go on. Retries and expiry follow the new time; retention deletes nothing for an hour.",
        "Look at the machine's time service.";
    LoopFailing = "loop-failing", false,
        "A background loop failed; it begins again by itself, at first soon, later every 30 s.",
        "Deliveries are still taken and kept.",
        "Look at the error in the line if it does not end.";
    AttemptLeft = "attempt-left", false,
        "The store was away while a delivery was worked on, so that its attempt has no end.",
        "The delivery is kept, and tried again when its lease has run out.",
        "Look at the faults of the store around it.";
    BatchUnread = "batch-unread", false,
        "One of several deliveries could not be read to its end, so that they are read one by one.",
        "All are kept.",
        "Look at the dead letters with the reason unreadable.";
    DeliveryDead = "delivery-dead", false,
        "A delivery was given up, for the reason in the line.",
        "Its body is kept until somebody has looked.",
        "scm-connect dead-letters list says why; replay tries again, discard lets go.";
    RemovalsHeld = "removals-held", true,
        "A list of members would put out too many people at once, or all of them.",
        "Nobody was put out by it. Who joined was let in, and single leavers are put out by their events.",
        "scm-connect members held shows who; approve or refuse it within a day, or mend the credential or the forge.";
    SecretDiffers = "secret-differs", true,
        "A forge signs what it sends with another secret than the one known here.",
        "Nothing unproven was stored. What was refused is in the forge's log, and comes once the secrets agree.",
        "Enter the same secret on both sides: scm-connect connections show names the connection.";
    WebhookSilent = "webhook-silent", false,
        "A hook has told nothing for a day, though a reading has found what it should have told.",
        "Nothing is lost, only late: members and projects are read anyway, and at once when this begins.",
        "Look at the forge whether the hook is there, switched on, and sends to this daemon: connections show names the connection.";
    LastAdminKept = "last-admin-kept", true,
        "The forge no longer has the organization's last admin as one.",
        "The person stays an admin here until there is another.",
        "Give somebody else at the forge the place that makes an admin here, or change the role map.";
    AuditUnwritten = "audit-unwritten", true,
        "Something was done, and its line in the audit log could not be written.",
        "What was done is kept.",
        "Look at the faults of the store around it.";
    RequestsCut = "requests-cut", false,
        "Requests were still open when the time for an orderly stop was over, and were cut.",
        "None of them had been acknowledged; the forge shows them as failed.",
        "Nothing, or have them sent again at the forge.";
    StopTooSlow = "stop-too-slow", true,
        "The stop took ten seconds and was ended hard.",
        "Everything acknowledged is on stable storage.",
        "Look at the disk: something hung.";
    StartRefused = "start-refused", true,
        "The daemon cannot start, for the reason in the line.",
        "Nothing was changed.",
        "Do what the line says.";
    ConfigRefused = "config-refused", true,
        "The config that SIGHUP asked for cannot be used.",
        "The old one stays in force, whole.",
        "Mend what the line names and send SIGHUP again.";
    ConfigChanged = "config-changed", false,
        "The config no longer declares something that has records, or declares it otherwise.",
        "What is recorded stays.",
        "Declare it again if that was not meant.";
    IdTokenKeys = "id-token-keys", false,
        "The keys of an issuer of ID tokens cannot be read, for the reason in the line.",
        "Keys that were read within the last day go on counting; without them a check-in is answered 503 and changes nothing.",
        "Look at the reason: the address in ci.issuers, the network, the certificate. It is tried again by itself.";
    TaskLeft = "task-left", false,
        "The store was away while a task was done outside, so that its try has no end.",
        "The task is kept, and done again when its lease has run out.",
        "Look at the faults of the store around it.";
    TaskFailed = "task-failed", false,
        "A task was given up, for the reason in the line.",
        "Nothing is taken away here because of it; GET /api/v1/tasks shows it.",
        "Mend what the reason names, then ask for it again: scm-connect connections test or sync.";
    CredentialExpiring = "credential-expiring", false,
        "A credential of a connection ends within a month, a week or a day; the line says which and when.",
        "Everything works until then.",
        "GitLab: scm-connect secrets rotate KEY. Else make a new token and enter it: scm-connect connections promote KEY.";
    DoorClosed = "door-closed", false,
        "A secret of a source does not open, for the reason in the line, so that its deliveries are refused.",
        "Every other source is served; of this one nothing is believed that is not proven.",
        "Enter the credential of its connection anew: scm-connect connections promote KEY. Its hook is then given new secrets.";
    Panic = "panic", true,
        "A thread met something that cannot be: a bug.",
        "What is stored is safe, and whoever waited for the thread was answered with an error.",
        "Please report it, with the line.";
}

impl Fault {
    /// Counts it once more; `report!` does, with the line in the log.
    pub fn count(self) {
        metric::count(Metric::Faults, &[Value::Word(self.code())], 1);
    }
}

/// Writes a fault's line to the log, with its code and at its level, and counts it. What follows the fault is as in
/// `tracing::warn!`.
macro_rules! report {
    ($fault:expr, $($what:tt)+) => {{
        let fault: $crate::telemetry::Fault = $fault;
        fault.count();
        if fault.is_grave() {
            tracing::error!(code = fault.code(), $($what)+);
        } else {
            tracing::warn!(code = fault.code(), $($what)+);
        }
    }};
}
pub(crate) use report;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn r50_every_fault_has_a_code_of_its_own_and_says_what_to_do() {
        let codes: BTreeSet<&str> = Fault::ALL.iter().map(|fault| fault.code()).collect();
        assert_eq!(codes.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            assert!(fault.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{fault:?}");
            for sentence in [fault.means(), fault.safe(), fault.next()] {
                assert!(sentence.len() > 7 && sentence.ends_with('.'), "{fault:?}: {sentence}");
            }
        }
    }
}
