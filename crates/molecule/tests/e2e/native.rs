use molecule_testkit::llm::{ScriptedLlm, Turn};
use serde_json::json;

use crate::{
    server::{Site, id_of, online},
    starter::ask,
};

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_think_delegate_and_answer() {
    // D6, RUN-40, RUN-53
    let llm = ScriptedLlm::start().await;
    llm.say(Turn::tool(
        "delegate_task",
        &json!({ "peer": "Researcher", "task": "count the moons of Mars" }),
    ));
    llm.say(Turn::text("Mars has two moons."));
    llm.say(Turn::text("The Researcher found: two moons."));

    let mut site = Site::new(None);
    site.set("MOLECULE_LLM_BASE_URL", &llm.openai_url());
    let mut server = site.start("up");
    server.line_with("native");
    let client = server.client();
    let all = online(&client, 3).await;
    assert!(all.iter().all(|item| item.workspace.runtime == "native"));

    let answer = ask(&client, id_of(&all, "Lead"), "m-1", "How many moons has Mars?").await;
    assert_eq!(answer, "The Researcher found: two moons.");

    let requests = llm.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].model(), "scripted");
    assert!(requests[0].system().contains("Researcher"), "the Lead knows its team");
    assert!(requests[0].tools().contains(&"delegate_task".to_owned()));
    let task = &requests[1].dialogue();
    assert!(
        task.iter().any(|(_, text)| text.contains("count the moons of Mars")),
        "{task:?}"
    );
    let results = requests[2].tool_results();
    assert!(
        results.iter().any(|(_, text)| text.contains("Mars has two moons.")),
        "{results:?}"
    );

    // The running server tries its endpoint, for `doctor`.
    let ran = site.run(&["doctor", "--json"]).await;
    let checks: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let models = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == "models")
        .unwrap();
    assert!(
        models["verdict"] == "ok" && models["found"].as_str().unwrap().contains("answers with 1 models"),
        "{models}"
    );
    // What an endpoint did is said in the reply.
    llm.say(Turn::status(401));
    let answer = ask(&client, id_of(&all, "Lead"), "m-2", "And Venus?").await;
    assert!(
        answer.contains("The model's endpoint 127.0.0.1:") && answer.contains("refused the key (HTTP 401)"),
        "{answer}"
    );
}
