//! Sends as the forges do: their headers and their proofs. Written beside the doors on purpose, so that a mistake in
//! a door does not sign its own work.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::Recorded;
use crate::domain::Timestamp;
use crate::domain::organization::Forge;

/// What both ends of the demo know: made for one run, never written anywhere but into its config.
#[derive(Debug, Clone)]
pub struct Keys {
    /// GitHub's secret.
    pub github: SecretString,
    /// GitLab's signing token, `whsec_…`.
    pub gitlab: SecretString,
}

impl Keys {
    /// Makes both of 64 random bytes.
    #[must_use]
    pub fn new(random: &[u8; 64]) -> Self {
        let (first, second) = random.split_at(32);
        Self {
            github: hex::encode(first).into(),
            gitlab: format!("whsec_{}", STANDARD.encode(second)).into(),
        }
    }

    pub(super) const fn of(&self, forge: Forge) -> &SecretString {
        match forge {
            Forge::Github => &self.github,
            Forge::Gitlab => &self.gitlab,
        }
    }
}

/// The headers with which the forge would send this delivery.
///
/// # Errors
/// When GitLab's token is not `whsec_` and base64.
pub fn headers(
    one: &Recorded,
    id: &str,
    secret: &SecretString,
    now: Timestamp,
) -> Result<Vec<(&'static str, String)>, String> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    match one.provider {
        Forge::Github => headers.extend([
            ("user-agent", "GitHub-Hookshot/demo".to_owned()),
            ("x-github-event", one.event.to_owned()),
            ("x-github-delivery", id.to_owned()),
            ("x-github-hook-id", "1".to_owned()),
            ("x-hub-signature-256", github(secret, one.body)?),
        ]),
        Forge::Gitlab => {
            let time = now.ms().div_euclid(1_000).to_string();
            headers.extend([
                ("user-agent", "GitLab/demo".to_owned()),
                ("x-gitlab-event", one.event.to_owned()),
                ("idempotency-key", id.to_owned()),
                ("webhook-id", id.to_owned()),
                ("webhook-signature", gitlab(secret, id, &time, one.body)?),
                ("webhook-timestamp", time),
            ]);
        }
    }
    Ok(headers)
}

/// A proof that looks right and is wrong: its last character is another.
pub(super) fn spoil(headers: &mut [(&'static str, String)]) {
    for (name, value) in headers {
        if matches!(*name, "x-hub-signature-256" | "webhook-signature") {
            // GitLab's ends in `=`; the character before it holds bits of the tag.
            let tail: String = value.chars().rev().take_while(|c| *c == '=').collect();
            value.truncate(value.len().saturating_sub(tail.len()));
            let last = value.pop();
            value.push(if last == Some('0') { '4' } else { '0' });
            value.push_str(&tail);
        }
    }
}

fn github(secret: &SecretString, body: &[u8]) -> Result<String, String> {
    Ok(format!("sha256={}", hex::encode(tag(secret.expose_secret().as_bytes(), &[body])?)))
}

fn gitlab(secret: &SecretString, id: &str, time: &str, body: &[u8]) -> Result<String, String> {
    let text = secret.expose_secret().strip_prefix("whsec_");
    let key = text.and_then(|text| STANDARD.decode(text).ok());
    let key =
        key.ok_or("cannot sign: GitLab's signing token is not \"whsec_\" and base64; nothing was sent")?;
    let parts: [&[u8]; 5] = [id.as_bytes(), b".", time.as_bytes(), b".", body];
    Ok(format!("v1,{}", STANDARD.encode(tag(&key, &parts)?)))
}

fn tag(key: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| "cannot sign with this key".to_owned())?;
    for part in parts {
        mac.update(part);
    }
    Ok(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(headers: &[(&'static str, String)], name: &str) -> String {
        headers.iter().find(|(of, _)| *of == name).unwrap().1.clone()
    }

    /// The example that GitHub's documentation gives.
    #[test]
    fn githubs_own_example_comes_out() {
        let tag = github(&"It's a Secret to Everybody".into(), b"Hello, World!").unwrap();
        assert_eq!(tag, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    }

    /// The example that the Standard Webhooks specification gives.
    #[test]
    fn standard_webhooks_own_example_comes_out() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into();
        let body = br#"{"test": 2432232314}"#;
        let tag = gitlab(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body).unwrap();
        assert_eq!(tag, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_spoilt_proof_keeps_its_shape_and_is_another() {
        let keys = Keys::new(&[7; 64]);
        for one in super::super::RECORDED {
            let right = headers(one, "id", keys.of(one.provider), Timestamp::from_ms(5_000)).unwrap();
            let mut wrong = right.clone();
            spoil(&mut wrong);
            let name = match one.provider {
                Forge::Github => "x-hub-signature-256",
                Forge::Gitlab => "webhook-signature",
            };
            assert_ne!(value(&right, name), value(&wrong, name), "{}", one.file);
            assert_eq!(value(&right, name).len(), value(&wrong, name).len(), "{}", one.file);
        }
    }

    #[test]
    fn a_token_that_is_none_is_named_but_never_shown() {
        let told = gitlab(&"hunter2".into(), "id", "1", b"").unwrap_err();
        assert!(told.contains("whsec_") && !told.contains("hunter2"), "{told}");
    }
}
