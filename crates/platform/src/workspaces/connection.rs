use std::collections::BTreeMap;

use molecule_core::{WorkspaceId, credential::PlainToken};
use molecule_wire::workspaces::Connection;

/// What existing canvases replace by the token they were given (LIFE-81).
const PASTE: &str = "<paste from create response>";

/// How to connect an external agent (LIFE-77…85). No snippet carries the token or `MOLECULE_ORG_ID`; each installs only
/// what exists: the `molecule` binary itself (D9).
pub(super) fn connection(id: WorkspaceId, base_url: &str, token: Option<&PlainToken>) -> Connection {
    let base = base_url.trim_end_matches('/');
    Connection {
        workspace_id: id,
        platform_url: base.to_owned(),
        auth_token: token.map(|token| token.expose().to_owned()).unwrap_or_default(),
        registry_endpoint: format!("{base}/registry/register"),
        heartbeat_endpoint: format!("{base}/registry/heartbeat"),
        snippets: BTreeMap::from([
            ("curl_register_template".to_owned(), curl(id, base)),
            ("python_snippet".to_owned(), python(id, base)),
        ]),
    }
}

fn curl(id: WorkspaceId, base: &str) -> String {
    format!(
        r#"# Register this agent, then beat every 30 s. The edge needs the Origin header.
WORKSPACE_AUTH_TOKEN="{PASTE}"
# The token goes to curl on its standard input: everybody on a machine can read arguments.
bearer() {{ printf 'Authorization: Bearer %s\n' "$WORKSPACE_AUTH_TOKEN"; }}
bearer | curl -fsS -X POST {base}/registry/register -H @- \
  -H "Origin: {base}" \
  -H "Content-Type: application/json" \
  -d '{{"id":"{id}","url":"","delivery_mode":"poll","agent_card":{{"name":"my agent","version":"1.0.0","skills":[]}}}}'
# In another shell, with the two lines above: what was sent to it, newest first, and an answer to a person.
#   bearer | curl -fsS -H @- -H "Origin: {base}" '{base}/workspaces/{id}/activity?type=a2a_receive'
#   bearer | curl -fsS -H @- -H "Origin: {base}" -H "Content-Type: application/json" \
#     -d '{{"message":"my answer"}}' {base}/workspaces/{id}/notify
while sleep 30; do
  bearer | curl -fsS -X POST {base}/registry/heartbeat -H @- \
    -H "Origin: {base}" \
    -H "Content-Type: application/json" \
    -d '{{"workspace_id":"{id}"}}'
done
"#
    )
}

fn python(id: WorkspaceId, base: &str) -> String {
    format!(
        r#"# Register, beat, and read messages; standard library only.
import json, time, urllib.error, urllib.request

PLATFORM_URL  = "{base}"
WORKSPACE_ID  = "{id}"
AUTH_TOKEN    = "{PASTE}"

def call(method, path, body=None):
    request = urllib.request.Request(PLATFORM_URL + path, method=method, data=body and json.dumps(body).encode())
    request.add_header("Authorization", "Bearer " + AUTH_TOKEN)
    request.add_header("Origin", PLATFORM_URL)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as response:
        return json.load(response)

call("POST", "/registry/register", {{"id": WORKSPACE_ID, "url": "", "delivery_mode": "poll",
                                   "agent_card": {{"name": "my agent", "version": "1.0.0", "skills": []}}}})
def answer(row):
    """Your agent goes here: what it returns is said to the person who wrote. (To another workspace, whose id is the
    row's source_id, POST a message to /workspaces/<source_id>/a2a with the header X-Workspace-ID: <your id>.)"""
    parts = row["request_body"]["params"]["message"]["parts"]
    return "Received: " + " ".join(part.get("text", "") for part in parts)

# What waits already is printed first. Keep the cursor in a file to go on where an earlier run stopped.
feed, cursor = f"/workspaces/{{WORKSPACE_ID}}/activity?type=a2a_receive", None
while True:
    call("POST", "/registry/heartbeat", {{"workspace_id": WORKSPACE_ID}})
    try:
        # Oldest first behind a cursor, newest first without one.
        rows = call("GET", f"{{feed}}&since_id={{cursor}}") if cursor else call("GET", feed)[::-1]
    except urllib.error.HTTPError as error:
        if error.code != 410:
            raise
        cursor = None  # The row it pointed at has been cleaned up; what is left came after it.
        continue
    for row in rows:
        if row["method"] != "notify" and row["source_id"] != WORKSPACE_ID:
            print(row["source_id"] or "user", json.dumps(row.get("request_body")))
            if row["source_id"] is None:
                call("POST", f"/workspaces/{{WORKSPACE_ID}}/notify", {{"message": answer(row)}})
        cursor = row["id"]
    time.sleep(5)
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snippets_are_filled_in_but_for_the_token() {
        // LIFE-77, LIFE-80, LIFE-81, LIFE-82
        let id = WorkspaceId::random();
        let token = PlainToken::from_random([3; 32]);
        let connection = connection(id, "https://m.example/", Some(&token));
        assert_eq!(connection.registry_endpoint, "https://m.example/registry/register");
        assert_eq!(connection.auth_token, token.expose());
        for (key, snippet) in &connection.snippets {
            assert!(
                snippet.contains(&id.to_string()) && snippet.contains("https://m.example"),
                "{key}"
            );
            assert!(
                !snippet.contains(token.expose()) && !snippet.contains("MOLECULE_ORG_ID"),
                "{key}"
            );
            assert!(snippet.contains("Origin"), "{key}");
        }
        let python = &connection.snippets["python_snippet"];
        assert!(python.contains("AUTH_TOKEN    = \"<paste from create response>\""));
        let curl = &connection.snippets["curl_register_template"];
        assert!(curl.contains("WORKSPACE_AUTH_TOKEN=\"<paste from create response>\""));
        assert!(!curl.contains("-H \"Authorization"), "arguments are visible to others");
    }
}
