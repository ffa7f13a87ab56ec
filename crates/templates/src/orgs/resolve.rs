//! From a parsed template to the tree of an import: inheritance, files, secrets, positions (PROV-128, PROV-140…148).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use molecule_core::{Runtime, limits, runtime::Allowlist, text::Quoted, validate};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    catalogue::Catalogue,
    generate::IDLE_INTERVAL_SECONDS,
    orgs::{
        document::{Defaults, MemorySeed, OrgDocument, WorkspaceDoc},
        environment::{Requirements, aggregate},
        error::OrgYamlError,
        layout::{self, Point, Size},
        merge::{merge_plugins, merge_routing},
        plan::{NodePlan, OrgPlan},
        prompts::{self, Base, Source},
        resources,
        template::OrgTemplate,
        vars::{expand, may_read_process_env, parse_env},
    },
    paths,
};

/// Replaces what the template says about every workspace the platform runs; external ones stay external.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOverrides {
    /// Runtime of every managed workspace. Models written for another runtime are dropped with it.
    pub runtime: Option<Runtime>,
    /// Model of every managed workspace.
    pub model: Option<String>,
}

/// What resolution needs to know besides the template.
#[derive(Clone, Copy)]
pub struct PlanContext<'a> {
    /// Runtimes this installation accepts.
    pub allowlist: &'a Allowlist,
    /// Workspace templates.
    pub catalogue: &'a Catalogue,
    /// The plugin registry, if there is one.
    pub plugins: Option<&'a Path>,
    /// The platform's own environment, which `${VAR}` falls back to for names that carry no credential (PROV-O8).
    pub process_env: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// Overrides of this import.
    pub overrides: &'a ImportOverrides,
}

impl OrgTemplate {
    /// Resolves every workspace: inheritance, prompts, files, secrets, positions.
    ///
    /// # Errors
    /// A workspace without a name; a file reference in an inline template.
    pub fn plan(&self, context: PlanContext<'_>) -> Result<OrgPlan, OrgYamlError> {
        let document = &self.document;
        let root = self.dir.as_deref();
        let resolver = Resolver {
            context,
            root,
            defaults: &document.defaults,
            env: read_env(root),
        };
        let mut roots = resolver.nodes(&document.workspaces, "workspaces")?;
        place(document, &mut roots);
        let Requirements { required, recommended } = aggregate(document);
        let global = |seed: &MemorySeed| MemorySeed {
            content: seed.content.clone(),
            scope: "GLOBAL".to_owned(),
        };
        Ok(OrgPlan {
            name: document.name.clone(),
            description: document.description.clone(),
            required_env: required,
            recommended_env: recommended,
            global_memories: document.global_memories.iter().map(global).collect(),
            roots,
        })
    }
}

struct Resolver<'a> {
    context: PlanContext<'a>,
    /// The template's directory; `None` for an inline one.
    root: Option<&'a Path>,
    defaults: &'a Defaults,
    /// The organisation's own `.env`.
    env: BTreeMap<String, SecretString>,
}

impl Resolver<'_> {
    /// The workspaces of one list; `path` leads to it in the document.
    fn nodes(&self, docs: &[WorkspaceDoc], path: &str) -> Result<Vec<NodePlan>, OrgYamlError> {
        docs.iter()
            .enumerate()
            .map(|(n, doc)| self.node(doc, format!("{path}[{n}]")))
            .collect()
    }

    fn node(&self, doc: &WorkspaceDoc, path: String) -> Result<NodePlan, OrgYamlError> {
        let (name, role) = (unfolded(&doc.name), unfolded(&doc.role));
        let defaults = self.defaults;
        let files = self.files_dir(doc);
        let base = self.base(doc, files.as_deref());
        let (initial_prompt, idle_prompt) = self.prompts(doc, base)?;
        let mut env = self.env.clone();
        env.extend(read_env(files.as_deref()));
        let lookup = |name: &str| self.variable(&env, name);
        let runtime = self.runtime(doc);
        let model = self.model(doc, runtime);
        let name = self.check_fields(&path, &name, &role, model.as_deref())?;
        let url = Some(doc.url.trim()).filter(|url| runtime == Runtime::External && !url.is_empty());
        Ok(NodePlan {
            name,
            role,
            runtime,
            model,
            tier: declared([doc.tier, defaults.tier]).unwrap_or(limits::DEFAULT_TIER),
            system_prompt: Some(&doc.system_prompt).filter(|text| !text.trim().is_empty()).cloned(),
            initial_prompt,
            idle_prompt,
            idle_interval_seconds: declared([doc.idle_interval_seconds, defaults.idle_interval_seconds])
                .filter(|seconds| *seconds > 0)
                .unwrap_or(IDLE_INTERVAL_SECONDS),
            category_routing: merge_routing(&defaults.category_routing, &doc.category_routing),
            plugins: resources::plugins(&merge_plugins(&defaults.plugins, &doc.plugins), self.context.plugins),
            memories: [&doc.initial_memories, &defaults.initial_memories]
                .into_iter()
                .find(|memories| !memories.is_empty())
                .cloned()
                .unwrap_or_default(),
            schedules: resources::schedules(&doc.schedules, base)?,
            channels: doc
                .channels
                .iter()
                .map(|channel| resources::channel(channel, lookup))
                .collect(),
            url: url.map(str::to_owned),
            max_concurrent_tasks: doc.max_concurrent_tasks.unwrap_or(1).max(1),
            position: Point::default(),
            offset: Point::default(),
            children: self.nodes(&doc.children, &format!("{path}.children"))?,
            workspace_dir: expand(&doc.workspace_dir, lookup),
            workspace_access: doc.workspace_access.trim().to_owned(),
            template_dir: self.template_dir(doc, files, runtime),
            env,
            path,
        })
    }

    /// What cannot be kept is named by its place, before anything of the organisation is created. Returns the name.
    fn check_fields(&self, path: &str, name: &str, role: &str, model: Option<&str>) -> Result<String, OrgYamlError> {
        validate::name(name)
            .and_then(|name| validate::imported_role(role).map(|()| name))
            .and_then(|name| validate::model(model.unwrap_or_default()).map(|()| name))
            .map(str::to_owned)
            .map_err(|error| OrgYamlError::invalid(self.file(), None, format!("{path}.{}", error.detail())))
    }

    /// Initial and idle prompt: the workspace's own, else the organisation's (PROV-144).
    fn prompts(&self, doc: &WorkspaceDoc, base: Base<'_>) -> Result<(String, String), OrgYamlError> {
        let top = self.root.map_or(Base::Inline, Base::Dir);
        let defaults = self.defaults;
        let own = |inline, file| Source { inline, file, base };
        let inherited = |inline, file| Source {
            inline,
            file,
            base: top,
        };
        let initial = prompts::first(&[
            own(&doc.initial_prompt, &doc.initial_prompt_file),
            inherited(&defaults.initial_prompt, &defaults.initial_prompt_file),
        ])?;
        let idle = prompts::first(&[
            own(&doc.idle_prompt, &doc.idle_prompt_file),
            inherited(&defaults.idle_prompt, &defaults.idle_prompt_file),
        ])?;
        Ok((initial, idle))
    }

    /// The workspace's own, the organisation's, `claude-code`; sanitised at once (PROV-128, PROV-O2, LIFE-3).
    fn runtime(&self, doc: &WorkspaceDoc) -> Runtime {
        let text = if doc.runtime.trim().is_empty() {
            &self.defaults.runtime
        } else {
            &doc.runtime
        };
        let resolved = self.context.allowlist.resolve(text);
        if doc.external || resolved.runtime == Runtime::External {
            return Runtime::External;
        }
        if let Some(runtime) = self.context.overrides.runtime {
            return runtime;
        }
        if resolved.unknown {
            tracing::warn!(workspace = %Quoted(&doc.name), runtime = %Quoted(text), "unknown runtime; using {}", resolved.runtime);
        }
        resolved.runtime
    }

    fn model(&self, doc: &WorkspaceDoc, runtime: Runtime) -> Option<String> {
        let overrides = self.context.overrides;
        let usable = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
        let overridden = runtime != Runtime::External && (overrides.runtime.is_some() || overrides.model.is_some());
        if overridden && let Some(model) = overrides.model.as_deref().and_then(usable) {
            return Some(model);
        }
        let written = usable(&doc.model).or_else(|| usable(&self.defaults.model));
        // A model id belongs to a runtime: the one written for codex means nothing to native.
        let own = if doc.runtime.trim().is_empty() {
            &self.defaults.runtime
        } else {
            &doc.runtime
        };
        written.filter(|_| !overridden || self.context.allowlist.resolve(own).runtime == runtime)
    }

    /// `files_dir` if it is a directory inside the organisation; escapes are ignored (PROV-142).
    fn files_dir(&self, doc: &WorkspaceDoc) -> Option<PathBuf> {
        let (root, relative) = (self.root?, doc.files_dir.trim());
        if relative.is_empty() {
            return None;
        }
        match paths::dir_inside(root, relative) {
            Ok(Some(dir)) => Some(dir),
            Ok(None) => {
                tracing::warn!(workspace = %Quoted(&doc.name), files_dir = %Quoted(relative), "files_dir does not exist; ignored");
                None
            }
            Err(error) => {
                tracing::warn!(workspace = %Quoted(&doc.name), files_dir = %Quoted(relative), %error, "files_dir ignored");
                None
            }
        }
    }

    /// `files_dir`, else the `template`, else `<runtime>-default` (PROV-142).
    fn template_dir(&self, doc: &WorkspaceDoc, files: Option<PathBuf>, runtime: Runtime) -> Option<PathBuf> {
        let named = || {
            let template = Some(doc.template.trim()).filter(|template| !template.is_empty())?;
            let found = self.context.catalogue.resolve(template).unwrap_or_default();
            if found.is_none() {
                tracing::warn!(workspace = %Quoted(&doc.name), template = %Quoted(template), "template is invalid or missing; ignored");
            }
            found.map(|found| found.dir)
        };
        files
            .or_else(named)
            .or_else(|| self.context.catalogue.runtime_default(runtime).map(|found| found.dir))
    }

    /// Prompt files are in `files_dir`; without one in the organisation's directory.
    fn base<'b>(&'b self, doc: &WorkspaceDoc, files: Option<&'b Path>) -> Base<'b> {
        match (self.root, files) {
            (None, _) => Base::Inline,
            (Some(_), Some(files)) => Base::Dir(files),
            (Some(root), None) if doc.files_dir.trim().is_empty() => Base::Dir(root),
            (Some(_), None) => Base::Unusable,
        }
    }

    /// A `${VAR}`: from the `.env` files, else from the platform's environment where that is harmless (PROV-O8).
    fn variable(&self, env: &BTreeMap<String, SecretString>, name: &str) -> Option<String> {
        let own = env.get(name).map(|value| value.expose_secret().to_owned());
        own.or_else(|| (self.context.process_env)(name).filter(|value| !value.is_empty() && may_read_process_env(name)))
    }

    fn file(&self) -> String {
        let name = self.root.and_then(Path::file_name);
        name.map_or_else(
            || "inline template".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        )
    }
}

/// Text of one line, as YAML's `>` means it: whoever wrote it broke the line to keep it readable (PROV-43).
fn unfolded(text: &str) -> String {
    let lines = text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// The first value that says something: 0 is how YAML written for older versions leaves a number unset.
fn declared<T: Default + PartialEq>(levels: [Option<T>; 2]) -> Option<T> {
    levels.into_iter().flatten().find(|value| *value != T::default())
}

/// The `.env` of a directory; absent is empty, unreadable is logged.
fn read_env(dir: Option<&Path>) -> BTreeMap<String, SecretString> {
    let Some(dir) = dir else { return BTreeMap::new() };
    let Ok(Some(path)) = paths::existing_inside(dir, ".env") else {
        return BTreeMap::new();
    };
    match paths::read_text(&path) {
        Ok(text) => parse_env(&text),
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, ".env file cannot be read; ignored");
            BTreeMap::new()
        }
    }
}

/// Gives every workspace its place (PROV-141).
fn place(document: &OrgDocument, roots: &mut [NodePlan]) {
    let declared = document
        .workspaces
        .iter()
        .map(|doc| doc.canvas.map(|at| Point { x: at.x, y: at.y }));
    let sizes: Vec<_> = declared.zip(roots.iter().map(size)).collect();
    for (root, at) in roots.iter_mut().zip(layout::roots(&sizes)) {
        put(root, at, at);
    }
}

fn put(node: &mut NodePlan, position: Point, offset: Point) {
    (node.position, node.offset) = (position, offset);
    let sizes: Vec<_> = node.children.iter().map(size).collect();
    for (child, slot) in node.children.iter_mut().zip(layout::slots(&sizes)) {
        put(child, position + slot, slot);
    }
}

fn size(node: &NodePlan) -> Size {
    let children: Vec<_> = node.children.iter().map(size).collect();
    layout::subtree(&children)
}
