//! How the demo talks: colour and a moving line on a terminal, plain lines anywhere else.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Where prose is broken.
const WIDTH: usize = 100;

/// The demo's voice.
#[derive(Clone, Copy)]
pub(crate) struct Show {
    rich: bool,
    width: usize,
    began: Instant,
}

impl Show {
    pub(crate) fn new() -> Self {
        let wanted = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        Self {
            rich: std::io::stdout().is_terminal() && wanted("NO_COLOR") && !dumb,
            width: WIDTH,
            began: Instant::now(),
        }
    }

    pub(crate) fn title(self, text: &str) {
        println!("{}", self.paint("1", text));
    }

    /// A numbered step: what happens now.
    pub(crate) fn step(self, number: usize, of: usize, text: &str) {
        let head = self.paint("1;36", &format!("[{number}/{of}] {text}"));
        println!("\n{head}");
    }

    /// What it means.
    pub(crate) fn say(self, text: &str) {
        for line in wrap(text, self.width) {
            println!("{line}");
        }
    }

    /// The same after an empty line.
    pub(crate) fn then(self, text: &str) {
        println!();
        self.say(text);
    }

    /// One of several.
    pub(crate) fn item(self, text: &str) {
        for (index, line) in wrap(text, self.width - 2).iter().enumerate() {
            println!("{} {line}", if index == 0 { '-' } else { ' ' });
        }
    }

    /// A command, as it can be typed.
    pub(crate) fn command(self, text: &str) {
        println!("\n  {} {}", self.paint("2", "$"), self.paint("1", text));
    }

    /// What a command answered.
    pub(crate) fn output(self, text: &str) {
        for line in text.trim_end().lines() {
            println!("  {}", self.judged(line));
        }
    }

    /// The same, each line cut where a terminal would break it.
    pub(crate) fn cut_output(self, text: &str) {
        let limit = self.width + 10;
        for line in text.trim_end().lines() {
            let cut: String = line.chars().take(limit).collect();
            let end = if line.chars().count() > limit {
                "…"
            } else {
                ""
            };
            println!("  {}{end}", self.judged(&cut));
        }
    }

    /// What the operator says, in its own words.
    pub(crate) fn quote(self, text: &str) {
        for line in wrap(text, self.width - 8) {
            println!("      {}", self.paint("2", &format!("| {line}")));
        }
    }

    pub(crate) fn good(self, text: &str) {
        println!("\n{}", self.paint("1;32", text));
    }

    pub(crate) fn bad(self, text: &str) {
        println!("\n{}", self.paint("1;31", text));
    }

    /// A line that moves while something is waited for; nothing where it could not move.
    pub(crate) fn moving(self, text: &str) {
        if self.rich {
            const FRAMES: [char; 4] = ['|', '/', '-', '\\'];
            let at = self.began.elapsed().as_millis() / 150 % 4;
            let frame = FRAMES.get(usize::try_from(at).unwrap_or(0)).unwrap_or(&'|');
            print!("\r\x1b[2K  {frame} {text}");
            let _ = std::io::stdout().flush();
        }
    }

    pub(crate) fn still(self) {
        if self.rich {
            print!("\r\x1b[2K");
            let _ = std::io::stdout().flush();
        }
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.began.elapsed()
    }

    fn paint(self, style: &str, text: &str) -> String {
        if self.rich {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// The words that a reader's eye looks for.
    fn judged(self, line: &str) -> String {
        let words = [
            (" Warning ", "33"),
            ("DifferentDestination", "31"),
            ("SandboxProductionMix", "31"),
            ("Connected", "32"),
        ];
        words
            .iter()
            .filter(|_| self.rich)
            .fold(line.to_owned(), |line, (word, style)| {
                line.replace(word, &self.paint(style, word))
            })
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let fits = lines
            .last()
            .is_some_and(|line| line.is_empty() || line.len() + word.len() < width);
        match lines.last_mut() {
            Some(line) if fits => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
