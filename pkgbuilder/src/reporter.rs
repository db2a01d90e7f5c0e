//! Progress and remarks for the person who waits, all on standard error: standard output carries data only.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where remarks and progress go; cheap to clone, shared by threads.
#[derive(Clone)]
pub struct Reporter {
    bars: MultiProgress,
    warnings: Arc<AtomicUsize>,
    quiet: bool,
    terminal: bool,
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter")
            .field("quiet", &self.quiet)
            .finish_non_exhaustive()
    }
}

impl Reporter {
    /// Reports to standard error; bars only on a terminal, nothing but warnings when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal && !quiet {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            warnings: Arc::default(),
            quiet,
            terminal,
        }
    }

    /// A line on what is being done now: lower case, no full stop.
    pub fn step(&self, text: impl fmt::Display) {
        if !self.quiet {
            self.line(&text.to_string());
        }
    }

    /// A line that the person should not miss.
    pub fn warn(&self, text: impl fmt::Display) {
        self.warnings.fetch_add(1, Ordering::Relaxed);
        let label = if self.terminal && std::env::var_os("NO_COLOR").is_none() {
            "\u{1b}[33mwarning\u{1b}[0m"
        } else {
            "warning"
        };
        self.line(&format!("{label}: {text}"));
    }

    /// How many warnings were given.
    pub fn warnings(&self) -> usize {
        self.warnings.load(Ordering::Relaxed)
    }

    /// A bar over `total` bytes; it vanishes when dropped or finished.
    pub fn bytes(&self, label: impl Into<String>, total: u64) -> ProgressBar {
        self.bar(
            label.into(),
            total,
            "{msg:30!} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        )
    }

    /// A bar over `total` items.
    pub fn items(&self, label: impl Into<String>, total: u64) -> ProgressBar {
        self.bar(label.into(), total, "{msg:30!} {wide_bar} {pos}/{len} {eta}")
    }

    /// A spinner for work of unknown length.
    pub fn busy(&self, label: impl Into<String>) -> ProgressBar {
        let bar = self.bar(label.into(), 0, "{spinner} {msg} {elapsed}");
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn bar(&self, label: String, total: u64, template: &str) -> ProgressBar {
        let style = ProgressStyle::with_template(template)
            .expect("templates are constants")
            .progress_chars("=> ");
        self.bars
            .add(ProgressBar::new(total).with_style(style).with_message(label))
    }

    /// A reader that has gone away is no reason to stop half-way.
    fn line(&self, text: &str) {
        self.bars.suspend(|| writeln!(std::io::stderr(), "{text}").ok());
    }
}
