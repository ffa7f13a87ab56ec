//! Who carries calls out.

use async_trait::async_trait;

use crate::{Arguments, Definition, Output, ToolError};

/// On whose behalf a tool is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The conversation in which the tool was chosen.
    pub context_id: String,
}

impl Caller {
    /// Somebody in this conversation.
    #[must_use]
    pub fn in_context(context_id: impl Into<String>) -> Self {
        Self {
            context_id: context_id.into(),
        }
    }
}

/// One tool. A call that is dropped before its end is given up: what it started must end with it.
#[async_trait]
pub trait Tool: Send + Sync {
    /// What it looks like.
    fn definition(&self) -> Definition;

    /// Is it there at this moment? Some depend on who else is around.
    async fn offered(&self) -> bool {
        true
    }

    /// Carries out a call.
    ///
    /// # Errors
    /// See [`ToolError`]; the caller has to deal with it.
    async fn call(&self, arguments: &Arguments, caller: &Caller) -> Result<Output, ToolError>;
}

/// Several tools behind one door.
#[async_trait]
pub trait ToolHost: Send + Sync {
    /// The tools there are at this moment, in a stable order.
    async fn definitions(&self) -> Vec<Definition>;

    /// Calls one by its name.
    ///
    /// # Errors
    /// See [`ToolError`].
    async fn call(&self, name: &str, arguments: &Arguments, caller: &Caller) -> Result<Output, ToolError>;
}

/// A host made of tools.
pub struct Toolbox {
    tools: Vec<Box<dyn Tool>>,
}

impl Toolbox {
    /// A host of these tools, offered in this order.
    #[must_use]
    pub fn new(tools: Vec<Box<dyn Tool>>) -> Self {
        Self { tools }
    }
}

#[async_trait]
impl ToolHost for Toolbox {
    async fn definitions(&self) -> Vec<Definition> {
        let mut definitions = Vec::with_capacity(self.tools.len());
        for tool in &self.tools {
            if tool.offered().await {
                definitions.push(tool.definition());
            }
        }
        definitions
    }

    /// A tool that is not offered just now can still be called: it says itself why it cannot do its work.
    async fn call(&self, name: &str, arguments: &Arguments, caller: &Caller) -> Result<Output, ToolError> {
        match self.tools.iter().find(|tool| tool.definition().name == name) {
            Some(tool) => tool.call(arguments, caller).await,
            None => Err(ToolError::Unknown(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Named(&'static str, bool);

    #[async_trait]
    impl Tool for Named {
        fn definition(&self) -> Definition {
            Definition::new(self.0, "a tool", json!({}), &[])
        }

        async fn offered(&self) -> bool {
            self.1
        }

        async fn call(&self, arguments: &Arguments, caller: &Caller) -> Result<Output, ToolError> {
            let text = arguments.text("text")?;
            Ok(Output::text(format!("{} {} {text}", self.0, caller.context_id)))
        }
    }

    #[tokio::test]
    async fn calls_by_name_and_offers_what_is_there() {
        let tools = Toolbox::new(vec![Box::new(Named("a", true)), Box::new(Named("b", false))]);
        let names: Vec<_> = tools.definitions().await.into_iter().map(|tool| tool.name).collect();
        assert_eq!(names, ["a"]);
        let arguments = Arguments::from_json(json!({"text": "x"})).unwrap();
        let caller = Caller::in_context("c");
        let said = tools.call("b", &arguments, &caller).await.unwrap();
        assert_eq!(said, Output::text("b c x"));
        assert_eq!(
            tools.call("z", &arguments, &caller).await,
            Err(ToolError::Unknown("z".into()))
        );
        assert!(matches!(
            tools.call("a", &Arguments::default(), &caller).await,
            Err(ToolError::Arguments(_))
        ));
    }
}
