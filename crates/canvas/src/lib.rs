//! The web UI that `canvas/` builds, as files inside the binary. A development build reads them from `canvas/dist`, so
//! that a new build of the UI shows without compiling anything.

use std::borrow::Cow;

use rust_embed::{Embed, EmbeddedFile};

#[derive(Embed)]
#[folder = "../../canvas/dist/"]
#[allow_missing = true]
struct Dist;

/// What a build without the web UI shows instead of a page.
pub const WITHOUT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Molecule</title><h1>Built without \
                           canvas</h1><p>This server was built without its web UI. The API and the command line work: \
                           see <code>molecule --help</code>. <code>make ui</code> builds the web UI; it needs Node.</p></html>";

/// A page of the web UI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Sign-in, then the organisation.
    Canvas,
    /// The API reference.
    Docs,
}

impl Page {
    /// Every page.
    pub const ALL: [Self; 2] = [Self::Canvas, Self::Docs];

    const fn file(self) -> &'static str {
        match self {
            Self::Canvas => "index.html",
            Self::Docs => "docs.html",
        }
    }
}

/// A file to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The bytes that are sent.
    pub body: Cow<'static, [u8]>,
    /// Value of `Content-Type`.
    pub media_type: &'static str,
    /// Value of `ETag`: of these very bytes.
    pub tag: String,
    /// The body is packed with gzip.
    pub gzip: bool,
    /// The name changes with the content, so that a client never has to ask again.
    pub immutable: bool,
}

/// A page; `None` when the binary was built without the web UI.
#[must_use]
pub fn page(page: Page, accepts_gzip: bool) -> Option<File> {
    file(page.file(), accepts_gzip)
}

/// A file below `assets/`; `None` when there is no such file.
#[must_use]
pub fn asset(path: &str, accepts_gzip: bool) -> Option<File> {
    // Names in the binary are plain; what climbs names nothing there, and nothing on disk in a development build. Packed
    // copies are no files of their own.
    let climbs = |segment: &str| segment.is_empty() || segment.starts_with('.');
    if path.split(['/', '\\']).any(climbs) || has_extension(path, "gz") {
        return None;
    }
    file(&format!("assets/{path}"), accepts_gzip)
}

fn file(name: &str, accepts_gzip: bool) -> Option<File> {
    let packed = accepts_gzip.then(|| Dist::get(&format!("{name}.gz"))).flatten();
    let gzip = packed.is_some();
    let found = match packed {
        Some(packed) => packed,
        None => Dist::get(name)?,
    };
    Some(File {
        tag: tag_of(&found),
        body: found.data,
        media_type: media_type(name),
        gzip,
        immutable: name.starts_with("assets/"),
    })
}

fn tag_of(file: &EmbeddedFile) -> String {
    let half = file.metadata.sha256_hash().into_iter().take(16);
    let hex: String = half.map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn has_extension(name: &str, wanted: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| extension == wanted)
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_is_served() {
        // SEC-192
        for path in [
            "../index.html",
            "..%2findex.html",
            "../../package.json",
            "/etc/passwd",
            "x/../index.js",
            ".",
            "",
            "nothing.js",
            "..\\x",
            ".gitkeep",
        ] {
            assert_eq!(asset(path, true), None, "{path}");
            assert_eq!(asset(path, false), None, "{path}");
        }
    }

    #[test]
    fn pages_come_packed_or_plain() {
        // Both hold for a build with the web UI and for one without.
        for name in Page::ALL {
            let (packed, plain) = (page(name, true), page(name, false));
            assert_eq!(packed.is_some(), plain.is_some(), "{name:?}");
            let (Some(packed), Some(plain)) = (packed, plain) else {
                continue;
            };
            assert!(packed.gzip && !plain.gzip, "{name:?}");
            assert_ne!(packed.tag, plain.tag, "{name:?}");
            assert!(!plain.immutable, "a page is asked for every time");
            assert_eq!(packed.media_type, "text/html; charset=utf-8");
        }
    }

    #[test]
    fn no_page_has_inline_code() {
        // D2: the policy allows none, so that a page with some would be broken.
        let pages = Page::ALL.into_iter().filter_map(|name| page(name, false));
        for file in pages {
            let text = String::from_utf8(file.body.to_vec()).unwrap();
            for tag in text.split("<script").skip(1) {
                assert!(
                    tag.split('>').next().unwrap().contains("src="),
                    "inline script in {text}"
                );
            }
            let inline = ["<style", " style=", " onclick=", " onload=", "javascript:"];
            assert!(inline.iter().all(|mark| !text.contains(mark)), "inline code in {text}");
            // D28: a proxy may put the pages below any path.
            assert!(!text.contains("=\"/"), "absolute address in {text}");
        }
        assert!(!WITHOUT.contains("<script") && !WITHOUT.contains("style="));
    }
}
