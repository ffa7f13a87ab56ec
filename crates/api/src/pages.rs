//! The pages and their assets, built into the binary.

use axum::{
    body::Body,
    extract::Request,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rust_embed::{Embed, EmbeddedFile};

use crate::{error::ApiError, extract::LastPath};

#[derive(Embed)]
#[folder = "assets/"]
#[allow_missing = true]
struct Assets;

/// What a build without pages shows.
const NO_PAGES: &str = "<!doctype html><title>Molecule</title><p>This server was built without its pages. The API and \
                        the command line work: see <code>molecule --help</code>.</p>";

/// The page: sign-in, then the organisation.
#[utoipa::path(
    get, path = "/", operation_id = "page", tag = "pages",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"))
)]
pub(crate) async fn index(headers: HeaderMap) -> Response {
    page("index.html", &headers)
}

/// The API reference.
#[utoipa::path(
    get, path = "/docs", operation_id = "docs", tag = "pages",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"))
)]
pub(crate) async fn docs(headers: HeaderMap) -> Response {
    page("docs.html", &headers)
}

/// A file of the pages.
#[utoipa::path(
    get, path = "/assets/{path}", operation_id = "asset", tag = "pages",
    params(("path" = String, Path, description = "The file.")),
    responses(
        (status = 200, description = "The file.", body = String, content_type = "application/octet-stream"),
        (status = 304, description = "The client has it."),
        (status = 404, description = "No such file."),
    )
)]
pub(crate) async fn asset(LastPath(path): LastPath, headers: HeaderMap) -> Result<Response, ApiError> {
    // Names in the binary are plain; what climbs names nothing there, and nothing on disk in a development build.
    let climbs = path
        .split(['/', '\\'])
        .any(|segment| segment.is_empty() || segment.starts_with('.'));
    let file = (!climbs).then(|| Assets::get(&path)).flatten();
    file.map(|file| serve(&path, file, &headers))
        .ok_or_else(|| ApiError::not_found("not found"))
}

fn page(name: &str, headers: &HeaderMap) -> Response {
    match Assets::get(name) {
        Some(file) => serve(name, file, headers),
        None => Html(NO_PAGES).into_response(),
    }
}

/// The file, or 304 if the client has this very version. Names carry no version, so clients ask every time.
fn serve(name: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash: String = file.metadata.sha256_hash()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let Ok(tag) = HeaderValue::from_str(&format!("\"{hash}\"")) else {
        return ApiError::internal().into_response();
    };
    let fresh = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|one| one.trim().as_bytes() == tag.as_bytes())) {
        return (StatusCode::NOT_MODIFIED, fresh).into_response();
    }
    (
        fresh,
        [(header::CONTENT_TYPE, HeaderValue::from_static(media_type(name)))],
        Body::from(file.data),
    )
        .into_response()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// What no route matches.
pub(crate) async fn unmatched(_: Request) -> ApiError {
    ApiError::not_found("not found")
}

/// A path that exists under other methods; axum adds `Allow`.
pub(crate) async fn other_method(_: Request) -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_are_there_and_revalidate() {
        let response = index(HeaderMap::new()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, response.headers()[header::ETAG].clone());
        assert_eq!(index(headers).await.status(), StatusCode::NOT_MODIFIED);
        let script = asset(LastPath("app.js".into()), HeaderMap::new()).await.unwrap();
        assert_eq!(script.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        // SEC-192
        for path in [
            "../Cargo.toml",
            "..%2fCargo.toml",
            "/etc/passwd",
            "x/../app.js",
            ".",
            "",
            "nothing.js",
            "..\\x",
        ] {
            let answer = asset(LastPath(path.into()), HeaderMap::new()).await;
            assert_eq!(
                answer.unwrap_err().into_response().status(),
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
    }

    #[test]
    fn no_page_has_inline_code() {
        // D2: the policy allows none, so that a page with some would be broken.
        for name in ["index.html", "docs.html"] {
            let file = Assets::get(name).unwrap();
            let text = String::from_utf8(file.data.to_vec()).unwrap();
            for tag in text.split("<script").skip(1) {
                assert!(
                    tag.split('>').next().unwrap().contains("src="),
                    "inline script in {name}"
                );
            }
            let inline = [
                "<style",
                " style=",
                " onclick=",
                " onload=",
                " onsubmit=",
                "javascript:",
            ];
            assert!(inline.iter().all(|mark| !text.contains(mark)), "inline code in {name}");
        }
    }
}
