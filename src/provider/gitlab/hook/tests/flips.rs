//! S2: one wrong bit anywhere is a wrong proof.

use proptest::prelude::*;

use super::*;

fn flip(bytes: &[u8], at: prop::sample::Index) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let bit = at.index(bytes.len() * 8);
    out[bit / 8] ^= 1 << (bit % 8);
    out
}

#[test]
fn s02_the_true_delivery_is_accepted() {
    assert!(ask(&verifier(&[], &[TOKEN_A]), &t7(RIGHT)).is_ok());
    let token = request(&[("x-gitlab-token", PLAIN.as_bytes())], BODY.as_bytes());
    assert!(ask(&verifier(&[PLAIN], &[]), &token).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn s02_ten_thousand_flipped_bits_are_all_refused(part in 0_usize..4, at: prop::sample::Index) {
        let time = TIME.to_string();
        let mut parts = [ID.as_bytes(), time.as_bytes(), RIGHT.as_bytes(), BODY.as_bytes()].map(<[u8]>::to_vec);
        parts[part] = flip(&parts[part], at);
        let headers: [(&str, &[u8]); 3] =
            [("webhook-id", &parts[0]), ("webhook-timestamp", &parts[1]), ("webhook-signature", &parts[2])];
        let refusal = ask(&verifier(&[], &[TOKEN_A]), &request(&headers, &parts[3]));
        prop_assert_eq!(refusal, Err(Rejected::ProofWrong));
    }

    #[test]
    fn s02_a_token_with_one_flipped_bit_is_refused(at: prop::sample::Index) {
        let token = flip(PLAIN.as_bytes(), at);
        let raw = request(&[("x-gitlab-token", &token)], BODY.as_bytes());
        prop_assert_eq!(ask(&verifier(&[PLAIN], &[]), &raw), Err(Rejected::ProofWrong));
    }
}
