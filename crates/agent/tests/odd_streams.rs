//! Every stream that is odd but legal means what it says, on both wires (D6).

mod common;

use std::collections::HashSet;

use common::{FakePlatform, Home, text_of};
use molecule_testkit::llm::{
    ScriptedLlm, Turn, Wire,
    odd::{Odd, streams},
};
use serde_json::json;

/// Says everything that is wrong with how one stream was understood.
async fn problems(agent: &common::Agent, llm: &ScriptedLlm, odd: &Odd) -> Vec<String> {
    let expected = &odd.expected;
    let asked = llm.requests().len();
    llm.say(Turn::odd(odd));
    let calls = !expected.calls.is_empty();
    if calls {
        llm.say(Turn::text("done"));
    }
    let result = agent.send(odd.name, odd.name, "go").await;
    let mut problems = Vec::new();
    let mut check = |what: &str, right: bool, got: String| {
        if !right {
            problems.push(format!("{}: {what}: {got}", odd.name));
        }
    };
    let requests = llm.requests().split_off(asked);
    check(
        "one request for each answer",
        requests.len() == 1 + usize::from(calls),
        requests.len().to_string(),
    );
    let reply = text_of(&result);
    let wanted = if calls { "done" } else { &expected.reply };
    check("reply", reply == wanted, reply.clone());
    if let Some((input, output)) = expected.usage {
        let wanted = json!({"input_tokens": input, "output_tokens": output});
        check("usage", result["usage"] == wanted, result["usage"].to_string());
    }
    if let Some(second) = requests.get(1) {
        check(
            "calls",
            second.calls() == expected.calls,
            format!("{:?}", second.calls()),
        );
        let ids = second.call_ids();
        let unique: HashSet<_> = ids.iter().filter(|id| !id.is_empty()).collect();
        check("ids", unique.len() == expected.calls.len(), format!("{ids:?}"));
        let results: Vec<_> = second.tool_results().into_iter().map(|(id, _)| id).collect();
        check(
            "a result for each call",
            results == ids,
            format!("{results:?} for {ids:?}"),
        );
        if let Some((member, value)) = &expected.echoed {
            check(
                "echo",
                second.echoes(member, value),
                second.body["messages"].to_string(),
            );
        }
    }
    problems
}

async fn understood(wire: Wire) {
    let platform = FakePlatform::start().await;
    let llm = ScriptedLlm::start().await;
    let home = Home::new(&platform, "native", "name: N\nmodel: test-model");
    let home = match wire {
        Wire::OpenAi => home
            .with("OPENAI_API_KEY", "k")
            .with("OPENAI_BASE_URL", &llm.openai_url()),
        Wire::Anthropic => home
            .with("ANTHROPIC_API_KEY", "k")
            .with("ANTHROPIC_BASE_URL", &llm.anthropic_url()),
    };
    let agent = home.start().await;
    let table = streams(wire);
    let mut all = Vec::new();
    for odd in &table {
        all.extend(problems(&agent, &llm, odd).await);
    }
    assert!(
        all.is_empty(),
        "{} of {} streams:\n{}",
        all.len(),
        table.len(),
        all.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_completions_mean_what_they_say() {
    understood(Wire::OpenAi).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_mean_what_they_say() {
    understood(Wire::Anthropic).await;
}
