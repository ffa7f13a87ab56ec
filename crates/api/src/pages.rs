//! The pages of the web UI and their files.

use axum::{
    body::Body,
    extract::Request,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use molecule_canvas::{File, Page, WITHOUT};

use crate::{error::ApiError, extract::LastPath};

/// The page: sign-in, then the organisation.
#[utoipa::path(
    get, path = "/", operation_id = "page", tag = "pages",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"))
)]
pub(crate) async fn index(headers: HeaderMap) -> Response {
    page(Page::Canvas, &headers)
}

/// The API reference.
#[utoipa::path(
    get, path = "/docs", operation_id = "docs", tag = "pages",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"))
)]
pub(crate) async fn docs(headers: HeaderMap) -> Response {
    page(Page::Docs, &headers)
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
    molecule_canvas::asset(&path, accepts_gzip(&headers))
        .map(|file| serve(file, &headers))
        .ok_or_else(|| ApiError::not_found("not found"))
}

/// A file of our pages, by the whole path.
pub(crate) fn file_at(path: &str, headers: &HeaderMap) -> Option<Response> {
    let file = molecule_canvas::asset(path.strip_prefix("/assets/")?, accepts_gzip(headers))?;
    Some(serve(file, headers))
}

fn page(page: Page, headers: &HeaderMap) -> Response {
    match molecule_canvas::page(page, accepts_gzip(headers)) {
        Some(file) => serve(file, headers),
        None => Html(WITHOUT).into_response(),
    }
}

/// Does the client unpack gzip? `gzip;q=0` says that it does not.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    accepted.filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = quality.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
            name.trim().eq_ignore_ascii_case("gzip") && !refused
        })
    })
}

/// The file, or 304 if the client has this very version.
fn serve(file: File, headers: &HeaderMap) -> Response {
    let Ok(tag) = HeaderValue::from_str(&file.tag) else {
        return ApiError::internal().into_response();
    };
    let caching = if file.immutable {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let fresh = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
        (header::VARY, HeaderValue::from_static("Accept-Encoding")),
    ];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == file.tag)) {
        return (StatusCode::NOT_MODIFIED, fresh).into_response();
    }
    let mut response = (fresh, Body::from(file.body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    if file.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// What no route matches, by its path or by its method.
pub(crate) async fn unmatched(_: Request) -> ApiError {
    ApiError::not_found("not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> File {
        File {
            body: b"body".as_slice().into(),
            media_type: "text/javascript; charset=utf-8",
            tag: "\"1\"".into(),
            gzip: true,
            immutable: true,
        }
    }

    #[tokio::test]
    async fn a_page_is_there_with_and_without_the_web_ui() {
        for response in [index(HeaderMap::new()).await, docs(HeaderMap::new()).await] {
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        }
    }

    #[test]
    fn files_revalidate() {
        let response = serve(file(), &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(response.headers()[header::VARY], "Accept-Encoding");
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"0\", \"1\""));
        assert_eq!(serve(file(), &headers).status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn gzip_is_sent_to_whoever_takes_it() {
        for (accepted, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.8", true),
            ("gzip;q=0", false),
            ("br", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            assert_eq!(accepts_gzip(&headers), expected, "{accepted}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        // SEC-192
        for path in ["../index.html", "/etc/passwd", ".", "", "nothing.js"] {
            let answer = asset(LastPath(path.into()), HeaderMap::new()).await;
            assert_eq!(
                answer.unwrap_err().into_response().status(),
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
    }
}
