//! Names of workspaces instead of ids, where people read the log.

use std::{
    borrow::Cow,
    io::{self, Write},
    sync::{Arc, OnceLock},
};

use molecule_core::{WorkspaceId, text::Quoted};

/// Bytes of an id.
const ID_BYTES: usize = 36;

type NameOf = dyn Fn(WorkspaceId) -> Option<Arc<str>> + Send + Sync;

/// Of the process, as its log is.
static NAMES: OnceLock<Box<NameOf>> = OnceLock::new();

/// Says what workspaces are called, as far as that is at hand. The first one to say it is asked from then on.
pub fn name_workspaces(name_of: impl Fn(WorkspaceId) -> Option<Arc<str>> + Send + Sync + 'static) {
    NAMES.set(Box::new(name_of)).ok();
}

/// Standard error, on which workspaces have names. A record is one write.
#[derive(Debug, Clone, Copy)]
pub(super) struct NamingStderr;

impl Write for NamingStderr {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let named = match NAMES.get() {
            Some(name_of) => with_names(&text, name_of),
            None => text,
        };
        io::stderr().lock().write_all(named.as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Every id that has a name as that name, with the beginning of the id, by which commands find it, too.
fn with_names<'a>(text: &'a str, name_of: &NameOf) -> Cow<'a, str> {
    let mut named = String::new();
    let (mut done, mut at) = (0, 0);
    while let Some(word) = text.as_bytes().get(at..at + ID_BYTES) {
        let id = std::str::from_utf8(word).ok().filter(|word| word.as_bytes()[8] == b'-');
        let name = id.and_then(|id| name_of(id.parse().ok()?).map(|name| (id, name)));
        if let Some((id, name)) = name {
            named.push_str(&text[done..at]);
            named.push_str(&format!("{} ({})", Quoted(&name), &id[..8]));
            at += ID_BYTES;
            done = at;
        } else {
            at += 1;
        }
    }
    if done == 0 {
        return text.into();
    }
    named.push_str(&text[done..]);
    named.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_with_a_name_are_named() {
        let (lead, nobody) = (WorkspaceId::random(), WorkspaceId::random());
        let name_of = move |id| (id == lead).then(|| Arc::from("Lead"));
        let short = &lead.to_string()[..8];
        for (text, shown) in [
            (
                format!("WARN fallen silent workspace={lead} last={nobody}\n"),
                format!("WARN fallen silent workspace=\"Lead\" ({short}) last={nobody}\n"),
            ),
            (format!("{lead}{lead}"), format!("\"Lead\" ({short})\"Lead\" ({short})")),
            (format!("ü{lead}"), format!("ü\"Lead\" ({short})")),
            (format!("ü{nobody} …"), format!("ü{nobody} …")),
            (String::new(), String::new()),
        ] {
            assert_eq!(with_names(&text, &name_of), shown);
        }
    }
}
