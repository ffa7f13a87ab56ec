//! Thoughts that a model writes into its answer, between `<think>` and `</think>` at the beginning. They are not part of
//! the reply.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Parts thoughts from words while the answer comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Thinking {
    state: State,
    /// Not decided yet, or thought.
    held: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but what may become the opening tag.
    #[default]
    Start,
    Inside,
    /// Blank lines after the closing tag.
    After,
    Words,
}

impl Thinking {
    /// Takes the next piece; what of it is the reply's.
    pub(super) fn push(&mut self, piece: &str) -> String {
        match self.state {
            State::Words => return piece.to_owned(),
            State::After => return self.after(piece),
            State::Start | State::Inside => self.held.push_str(piece),
        }
        if self.state == State::Start {
            let said = self.held.trim_start();
            if OPEN.starts_with(said) {
                return String::new();
            }
            let Some(thought) = said.strip_prefix(OPEN) else {
                self.state = State::Words;
                return std::mem::take(&mut self.held);
            };
            self.held = thought.to_owned();
            self.state = State::Inside;
        }
        let Some(end) = self.held.find(CLOSE) else {
            return String::new();
        };
        let words = self.held.split_off(end + CLOSE.len());
        self.held.clear();
        self.after(&words)
    }

    fn after(&mut self, piece: &str) -> String {
        let words = piece.trim_start();
        self.state = if words.is_empty() { State::After } else { State::Words };
        words.to_owned()
    }

    /// The end of the answer. A tag that is never closed was meant as text, unless the answer was cut off.
    pub(super) fn finish(self, cut_off: bool) -> String {
        match self.state {
            State::Start => self.held,
            State::Inside if !cut_off => format!("{OPEN}{}", self.held),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str, size: usize, cut_off: bool) -> String {
        let mut thinking = Thinking::default();
        let chars: Vec<char> = text.chars().collect();
        let mut reply = String::new();
        for piece in chars.chunks(size) {
            reply.push_str(&thinking.push(&piece.iter().collect::<String>()));
        }
        reply + &thinking.finish(cut_off)
    }

    #[test]
    fn thoughts_are_left_out_however_they_are_cut() {
        for size in [1, 3, 1_000] {
            for (text, expected) in [
                ("<think>hm</think>\n\nyes", "yes"),
                ("\n<think>a < b</think>yes", "yes"),
                ("no thoughts", "no thoughts"),
                (" <thin ice", " <thin ice"),
                ("x <think>y</think>", "x <think>y</think>"),
                ("<think>a</think><think>b</think>", "<think>b</think>"),
                ("<think>only</think>", ""),
                ("<th", "<th"),
            ] {
                assert_eq!(reply(text, size, false), expected, "{text} by {size}");
            }
            assert_eq!(reply("<think> is a tag", size, false), "<think> is a tag");
            assert_eq!(reply("<think>so lo", size, true), "");
        }
    }
}
