//! `AGENTS.md`: what people and tools that look into the working directory should know (RUN-12).

use crate::config::Config;

/// The text. `endpoint` is where the agent answers.
#[must_use]
pub fn render(config: &Config, endpoint: &str) -> String {
    let tools: Vec<_> = config
        .tools
        .iter()
        .chain(&config.plugins)
        .map(|name| format!("- {name}"))
        .collect();
    let tools = if tools.is_empty() {
        "None".to_owned()
    } else {
        tools.join("\n")
    };
    format!(
        "# {}\n\n**Role:** {}\n\n## Description\n\n{}\n\n## A2A Endpoint\n\n{endpoint}\n\n## MCP Tools\n\n{tools}\n",
        config.name, config.role, config.description
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn has_what_readers_look_for() {
        // RUN-12
        let config = Config::parse(
            "name: Lead\nrole: leads\ndescription: d\ntools: [t]\nplugins: [p]",
            Path::new("/"),
        )
        .unwrap();
        let text = render(&config, "http://localhost:1/a2a");
        for part in ["# Lead\n", "**Role:** leads", "http://localhost:1/a2a", "- t\n- p"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(render(&Config::parse("", Path::new("/")).unwrap(), "x").contains("None"));
    }
}
