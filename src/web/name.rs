//! Names that people give: of organizations, of tokens.

/// What is said of a name that is not fine.
pub(crate) const WRONG: &str = "the name must have 1 to 100 characters, and none of them a control character";

/// Whether a name can be shown everywhere.
pub(crate) fn is_fine(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= 100 && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_seen_and_is_not_long() {
        for fine in ["A", "Ärger & Söhne", &"x".repeat(100)] {
            assert!(is_fine(fine), "{fine}");
        }
        for wrong in ["", "  ", "a\nb", "\u{85}", &"x".repeat(101)] {
            assert!(!is_fine(wrong), "{wrong:?}");
        }
    }
}
