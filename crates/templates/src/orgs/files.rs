//! The configuration files of a planned workspace (PROV-142, PROV-143, PROV-145).

use std::{collections::BTreeMap, fs, io, path::Path};

use crate::generate::{self, GeneratedConfig};
use crate::orgs::plan::NodePlan;

/// Bytes taken of one plugin; a larger one is skipped.
const PLUGIN_BYTES: u64 = 16 << 20;

/// Files to write over those of [`NodePlan::template_dir`], by `/`-separated relative path: `config.yaml` always,
/// `system-prompt.md` when the workspace has its own, and its plugins. A plugin that cannot be read is logged and left
/// out.
#[must_use]
pub fn config_files(node: &NodePlan) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for plugin in &node.plugins {
        match read_plugin(&plugin.dir) {
            Ok(content) => {
                let content = content
                    .into_iter()
                    .map(|(path, bytes)| (format!("plugins/{}/{path}", plugin.name), bytes));
                files.extend(content);
            }
            Err(error) => tracing::warn!(plugin = plugin.name, %error, "plugin cannot be read; skipped"),
        }
    }
    files.insert("config.yaml".to_owned(), config_yaml(node).into_bytes());
    if let Some(prompt) = &node.system_prompt {
        files.insert("system-prompt.md".to_owned(), prompt.clone().into_bytes());
    }
    files
}

fn config_yaml(node: &NodePlan) -> String {
    let config = GeneratedConfig {
        name: &node.name,
        role: &node.role,
        tier: node.tier,
        runtime: node.runtime,
        model: node.model.as_deref(),
    };
    let mut yaml = config.render();
    generate::append_category_routing(&mut yaml, &node.category_routing);
    generate::append_initial_prompt(&mut yaml, &node.initial_prompt);
    generate::append_idle(&mut yaml, node.idle_interval_seconds, &node.idle_prompt);
    yaml
}

/// Regular files below `dir`. Links are not followed: they could lead out of the registry.
fn read_plugin(dir: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut left = PLUGIN_BYTES;
    let mut pending = vec![(dir.to_owned(), String::new())];
    while let Some((path, prefix)) = pending.pop() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let kind = entry.file_type()?;
            if kind.is_dir() && name != ".git" {
                pending.push((entry.path(), format!("{prefix}{name}/")));
            } else if kind.is_file() {
                let size = entry.metadata()?.len();
                left = left.checked_sub(size).ok_or_else(|| {
                    io::Error::new(
                        io::ErrorKind::FileTooLarge,
                        format!("plugin is larger than {PLUGIN_BYTES} bytes"),
                    )
                })?;
                files.insert(format!("{prefix}{name}"), fs::read(entry.path())?);
            }
        }
    }
    Ok(files)
}
