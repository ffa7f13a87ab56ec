//! Reading and writing in the working directory.

use async_trait::async_trait;
use molecule_tools::{Arguments, Caller, Definition, Output, Tool, ToolError};
use serde_json::json;

use super::workdir::{FileError, WorkDir};

/// What is done with a file.
#[derive(Debug, Clone, Copy)]
enum Act {
    Read,
    Write,
    List,
}

/// `read_file`, `write_file` or `list_files`
pub(super) struct FileTool {
    act: Act,
    work: WorkDir,
}

impl FileTool {
    /// All three.
    pub(super) fn all(work: &WorkDir) -> impl Iterator<Item = Box<dyn Tool>> {
        [Act::Read, Act::Write, Act::List]
            .into_iter()
            .map(|act| -> Box<dyn Tool> {
                let work = work.clone();
                Box::new(Self { act, work })
            })
    }
}

#[async_trait]
impl Tool for FileTool {
    fn definition(&self) -> Definition {
        let path = json!({ "type": "string", "description": "Path relative to the working directory" });
        match self.act {
            Act::Read => Definition::new(
                "read_file",
                "Read a text file of the working directory.",
                json!({
                    "path": path,
                    "first_line": { "type": "integer", "description": "First line, counted from 1" },
                    "lines": { "type": "integer", "description": "How many lines" }
                }),
                &["path"],
            ),
            Act::Write => Definition::new(
                "write_file",
                "Write a whole file in the working directory. Directories above it are created.",
                json!({ "path": path, "content": { "type": "string" } }),
                &["path", "content"],
            ),
            Act::List => Definition::new(
                "list_files",
                "List a directory of the working directory.",
                json!({ "path": path }),
                &[],
            ),
        }
    }

    async fn call(&self, arguments: &Arguments, _: &Caller) -> Result<Output, ToolError> {
        let work = self.work.clone();
        match self.act {
            Act::Read => {
                let path = arguments.text("path")?.to_owned();
                let first = arguments.count("first_line").unwrap_or(1).max(1);
                let count = arguments.count("lines").unwrap_or(usize::MAX).max(1);
                aside(move || work.read(&path, first, count)).await
            }
            Act::Write => {
                let path = arguments.text("path")?.to_owned();
                // An empty file is a file.
                let content = arguments.content("content")?.to_owned();
                aside(move || work.write(&path, &content)).await
            }
            Act::List => {
                let path = arguments.optional_text("path").unwrap_or(".").to_owned();
                aside(move || work.list(&path)).await
            }
        }
    }
}

/// Files are read off the async threads.
async fn aside(work: impl FnOnce() -> Result<String, FileError> + Send + 'static) -> Result<Output, ToolError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(text)) => Ok(Output::Text(text)),
        Ok(Err(error @ FileError::Outside(_))) => Err(ToolError::Refused(error.to_string())),
        Ok(Err(error @ FileError::Failed { .. })) => Err(ToolError::Failed(error.to_string())),
        Err(crash) => Err(ToolError::Failed(format!("the tool crashed: {crash}"))),
    }
}
