//! Limits for what a body may do to us: time, panics, and the length of what it makes us say.

use std::time::Duration;

/// A reader or handler may run so long.
pub(super) const TIME_MAX: Duration = Duration::from_secs(30);
/// An error's text is cut at so many bytes.
pub(super) const ERROR_BYTES_MAX: usize = 1024;
/// An event's name or action is cut at so many bytes.
pub(super) const NAME_BYTES_MAX: usize = 128;

/// Why a pure function gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stuck {
    /// It panicked, with this text.
    Panicked(String),
    /// It did not come back; its thread is left behind, since nothing can end it.
    Overtime,
}

/// Runs a pure function on a thread that may be lost, so that no body can stop or hold the loops.
pub(super) async fn run<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Result<T, Stuck> {
    match tokio::time::timeout(TIME_MAX, tokio::task::spawn_blocking(act)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(died)) => Err(Stuck::Panicked(match died.try_into_panic() {
            Ok(payload) => panic_text(payload.as_ref()),
            Err(_) => "the thread was taken away".to_owned(),
        })),
        Err(_) => Err(Stuck::Overtime),
    }
}

/// What a panic said, fit to be shown.
pub(super) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let said = payload.downcast_ref::<&str>().copied();
    let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    cut(said.unwrap_or("without a text"), ERROR_BYTES_MAX / 2)
}

/// The text without control characters and changes of reading direction, cut to at most `bytes_max` bytes.
pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    let mut short = String::new();
    for c in text.chars().filter(|c| !is_unsafe(*c)) {
        if short.len().saturating_add(c.len_utf8()) > bytes_max {
            break;
        }
        short.push(c);
    }
    short
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_cannot_move_a_cursor() {
        assert_eq!(cut("a\u{1b}[2J\r\nb\u{202e}c", 100), "a[2Jbc");
        assert_eq!(cut("ääää", 5), "ää");
        assert_eq!(cut(&"x".repeat(5_000), ERROR_BYTES_MAX).len(), 1_024);
    }

    #[tokio::test]
    async fn s06_a_panic_is_caught_and_its_text_kept() {
        let stuck = run(|| -> u8 { panic!("at the {}\n", "disco") }).await;
        assert_eq!(stuck, Err(Stuck::Panicked("at the disco".to_owned())));
        assert_eq!(run(|| 7).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn s06_what_never_comes_back_is_left_behind() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let call = tokio::spawn(run(move || held.recv().is_ok()));
        tokio::task::yield_now().await;
        tokio::time::advance(TIME_MAX + Duration::from_millis(1)).await;
        assert_eq!(call.await.unwrap(), Err(Stuck::Overtime));
        drop(release);
    }
}
