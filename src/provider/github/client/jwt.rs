//! How an App proves itself: a short-lived token that it signs with its own key.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// Issued a minute ago, so that a forge whose clock is behind ours still believes it.
const BACKDATED_S: i64 = 60;
/// GitHub allows ten minutes by its own clock; nine leave room for ours.
const LIFE_S: i64 = 540;

/// An App's name and key.
#[derive(Clone)]
pub struct AppKey {
    issuer: String,
    key: EncodingKey,
}

impl std::fmt::Debug for AppKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AppKey({})", self.issuer)
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
}

impl AppKey {
    /// Reads the key as the forge hands it out (PKCS#1) or as PKCS#8. `issuer` is the client id, or the App's number
    /// for servers that know no client ids.
    ///
    /// # Errors
    /// When it is no RSA private key in PEM; says so, and nothing of the key.
    pub fn parse(issuer: impl Into<String>, pem: &SecretString) -> Result<Self, String> {
        let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes())
            .map_err(|_| "is no RSA private key in PEM".to_owned())?;
        Ok(Self { issuer: issuer.into(), key })
    }

    /// Whom the forge knows it as.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token for now, by the forge's clock.
    ///
    /// # Errors
    /// When signing fails, which a key that was parsed does not do.
    pub(super) fn sign(&self, now_s: i64) -> Result<SecretString, String> {
        let claims = Claims {
            iat: now_s.saturating_sub(BACKDATED_S),
            exp: now_s.saturating_add(LIFE_S),
            iss: &self.issuer,
        };
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key);
        signed.map(SecretString::from).map_err(|_| "the App's key cannot sign".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    /// The public test key of RFC 7515 A.2.
    const KEY: &str = include_str!("../../../../tests/fixture/keys/rfc7515-a2.pem");
    const MODULUS: &str = include_str!("../../../../tests/fixture/keys/rfc7515-a2.modulus");

    #[test]
    fn r35_an_app_token_is_backdated_by_a_minute_and_lives_nine() {
        let key = AppKey::parse("Iv23liTESTclientid", &KEY.into()).unwrap();
        let token = key.sign(1_700_000_000).unwrap();
        let parts: Vec<&str> = token.expose_secret().split('.').collect();
        let read =
            |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(read(parts[0]), json!({"alg": "RS256", "typ": "JWT"}));
        let claims = json!({"iat": 1_699_999_940, "exp": 1_700_000_540, "iss": "Iv23liTESTclientid"});
        assert_eq!(read(parts[1]), claims);
    }

    #[test]
    fn s52_a_signature_made_here_is_verified_here() {
        let key = AppKey::parse("1", &KEY.into()).unwrap();
        let token = key.sign(1_700_000_000).unwrap();
        let (message, signature) = token.expose_secret().rsplit_once('.').unwrap();
        let public = jsonwebtoken::DecodingKey::from_rsa_components(MODULUS.trim(), "AQAB").unwrap();
        let verify = |message: &str| {
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &public, Algorithm::RS256).unwrap()
        };
        assert!(verify(message) && !verify(&message.replace('.', ",")));
    }

    #[test]
    fn what_is_no_private_key_is_refused_without_a_word_of_it() {
        for pem in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"] {
            let refused = AppKey::parse("1", &pem.into()).unwrap_err();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
