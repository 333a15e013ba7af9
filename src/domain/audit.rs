//! The audit log as a chain: each line's hash covers the one before it, so that a line that was changed, left out, moved
//! or put between shows itself. Each organization has a chain of its own, and so has the operator.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::change::AuditEntry;

/// A line's place in its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Counts the lines of the chain, from 1.
    pub number: u64,
    /// SHA-256 over the hash before, this number and the line, in hex.
    pub hash: String,
}

/// What is wrong with a chain, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A line is not there.
    #[error("line {expected} is missing; line {found} comes in its place")]
    Missing {
        /// The number that should come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// A line, or one before it, is not what was written.
    #[error("line {number} is not what was written, or a line before it was replaced")]
    Changed {
        /// Its number.
        number: u64,
    },
    /// The last lines are not there.
    #[error("the chain ends with line {found}, and {expected} were written")]
    CutOff {
        /// How many there are.
        found: u64,
        /// How many were written.
        expected: u64,
    },
}

/// Makes a line ready to be kept: nothing in it that one of the stores could not keep.
#[must_use]
pub fn clean(mut entry: AuditEntry) -> AuditEntry {
    let texts = [&mut entry.actor, &mut entry.action, &mut entry.subject, &mut entry.detail];
    let more = [&mut entry.before, &mut entry.after, &mut entry.why].into_iter().flatten();
    for text in texts.into_iter().chain(more) {
        text.retain(|letter| letter != '\0');
    }
    entry
}

/// The place of a line behind the last one.
#[must_use]
pub fn link(last: Option<&Link>, entry: &AuditEntry) -> Link {
    let number = last.map_or(0, |last| last.number).saturating_add(1);
    Link { number, hash: hash(last, number, entry) }
}

fn hash(last: Option<&Link>, number: u64, entry: &AuditEntry) -> String {
    let mut digest = Sha256::new();
    // Each part is led by its length, so that no two lines look alike.
    let mut part = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    part(last.map_or("", |last| last.hash.as_str()).as_bytes());
    part(&number.to_be_bytes());
    part(&entry.at.ms().to_be_bytes());
    part(entry.organization.as_ref().map_or("", |slug| slug.as_str()).as_bytes());
    for text in [&entry.actor, &entry.action, &entry.subject, &entry.detail] {
        part(text.as_bytes());
    }
    for text in [&entry.before, &entry.after, &entry.why] {
        match text {
            Some(text) => part(text.as_bytes()),
            None => part(&[0]),
        }
    }
    hex::encode(digest.finalize())
}

/// Walks a chain line by line.
#[derive(Debug, Default)]
pub struct Walk {
    last: Option<Link>,
}

impl Walk {
    /// The number of the line that was walked last; 0 at the beginning.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.number)
    }

    /// The next line.
    ///
    /// # Errors
    /// When it does not follow the one before.
    pub fn step(&mut self, entry: &AuditEntry) -> Result<(), Broken> {
        let expected = self.number().saturating_add(1);
        let Some(found) = &entry.link else { return Err(Broken::Changed { number: expected }) };
        if found.number != expected {
            return Err(Broken::Missing { expected, found: found.number });
        }
        if link(self.last.as_ref(), entry) != *found {
            return Err(Broken::Changed { number: expected });
        }
        self.last = Some(found.clone());
        Ok(())
    }

    /// The end; `head` is what the store remembers of the last line.
    ///
    /// # Errors
    /// When lines are missing behind the last one, or it is another one.
    pub fn end(&self, head: Option<&Link>) -> Result<(), Broken> {
        let expected = head.map_or(0, |head| head.number);
        if self.number() != expected {
            return Err(Broken::CutOff { found: self.number(), expected });
        }
        if self.last.as_ref() == head { Ok(()) } else { Err(Broken::Changed { number: expected }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OrganizationSlug, Timestamp};

    fn chain(count: u64) -> (Vec<AuditEntry>, Option<Link>) {
        let mut head = None;
        let mut lines = Vec::new();
        for number in 1..=count {
            let entry = AuditEntry {
                at: Timestamp::from_ms(1_780_000_000_000),
                organization: OrganizationSlug::parse("acme").ok(),
                actor: "sync".into(),
                action: "member.removed".into(),
                subject: format!("p{number}"),
                before: Some("member".into()),
                why: (number % 2 == 0).then(|| "not listed".to_owned()),
                ..AuditEntry::default()
            };
            head = Some(link(head.as_ref(), &entry));
            lines.push(AuditEntry { link: head.clone(), ..entry });
        }
        (lines, head)
    }

    fn verify(lines: &[AuditEntry], head: Option<&Link>) -> Result<(), Broken> {
        let mut walk = Walk::default();
        lines.iter().try_for_each(|line| walk.step(line))?;
        walk.end(head)
    }

    #[test]
    fn s55_a_chain_that_nobody_touched_holds() {
        let (lines, head) = chain(9);
        assert_eq!(verify(&lines, head.as_ref()), Ok(()));
        assert_eq!(verify(&[], None), Ok(()));
    }

    #[test]
    fn s55_every_edited_field_names_its_line() {
        let (lines, head) = chain(5);
        type Edit = fn(&mut AuditEntry);
        let edits: [Edit; 10] = [
            |line| line.at = line.at.plus_ms(1),
            |line| line.organization = None,
            |line| line.actor = "cli".into(),
            |line| line.action = "member.joined".into(),
            |line| line.subject = "nobody".into(),
            |line| line.detail = "x".into(),
            |line| line.before = None,
            |line| line.after = Some(String::new()),
            |line| line.why = Some("because".into()),
            |line| line.link = None,
        ];
        for (place, edit) in edits.into_iter().enumerate() {
            let mut edited = lines.clone();
            edit(&mut edited[2]);
            assert_eq!(verify(&edited, head.as_ref()), Err(Broken::Changed { number: 3 }), "edit {place}");
        }
    }

    #[test]
    fn s55_a_line_that_was_deleted_moved_put_between_or_cut_off_is_named() {
        let (lines, head) = chain(5);
        let mut deleted = lines.clone();
        deleted.remove(1);
        assert_eq!(verify(&deleted, head.as_ref()), Err(Broken::Missing { expected: 2, found: 3 }));
        let mut moved = lines.clone();
        moved.swap(1, 2);
        assert_eq!(verify(&moved, head.as_ref()), Err(Broken::Missing { expected: 2, found: 3 }));
        let mut doubled = lines.clone();
        doubled.insert(1, lines[0].clone());
        assert_eq!(verify(&doubled, head.as_ref()), Err(Broken::Missing { expected: 2, found: 1 }));
        assert_eq!(verify(&lines[..4], head.as_ref()), Err(Broken::CutOff { found: 4, expected: 5 }));
        let (other, _) = chain(4);
        let mut forged = other;
        let last = AuditEntry { subject: "forged".into(), ..lines[4].clone() };
        forged.push(AuditEntry { link: Some(link(forged[3].link.as_ref(), &last)), ..last });
        assert_eq!(
            verify(&forged, head.as_ref()),
            Err(Broken::Changed { number: 5 }),
            "linked anew, but not the head"
        );
    }

    #[test]
    fn what_no_store_could_keep_is_taken_out_before_it_is_linked() {
        let entry = AuditEntry { detail: "a\0b".into(), why: Some("\0".into()), ..AuditEntry::default() };
        let clean = clean(entry);
        assert_eq!((clean.detail.as_str(), clean.why.as_deref()), ("ab", Some("")));
    }
}
