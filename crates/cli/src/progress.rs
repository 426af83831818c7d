//! Progress on standard error: a moving line on a terminal, a line now and then elsewhere.

use std::{
    cell::RefCell,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of one command.
pub struct Progress {
    bar: Option<ProgressBar>,
    last: RefCell<(String, Instant)>,
}

/// How often a line is written where nothing can move.
const EVERY: Duration = Duration::from_secs(2);

impl Progress {
    /// Starts to show progress.
    pub fn start() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, last: RefCell::new((String::new(), Instant::now())) }
    }

    /// Says that something new begins.
    pub fn stage(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => eprintln!("{text}"),
        }
        *self.last.borrow_mut() = (text.to_owned(), Instant::now());
    }

    /// Says how far it is; repeated as often as you like.
    pub fn update(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => {
                let mut last = self.last.borrow_mut();
                if last.0 != text && last.1.elapsed() >= EVERY {
                    eprintln!("{text}");
                    *last = (text.to_owned(), Instant::now());
                }
            }
        }
    }

    /// Writes a line that stays.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    /// Takes the moving line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
