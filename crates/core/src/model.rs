//! Which provider serves a model slug (PROV-114).

use crate::vocabulary::vocabulary;

/// Variable that names the provider (PROV-109).
pub const PROVIDER_VARIABLE: &str = "LLM_PROVIDER";
/// Variable that says `derived` when the platform derived the provider from the model at creation. Absent when somebody
/// chose it (RUN-80a).
pub const PROVIDER_ORIGIN_VARIABLE: &str = "LLM_PROVIDER_ORIGIN";
/// The one value of [`PROVIDER_ORIGIN_VARIABLE`].
pub const PROVIDER_DERIVED: &str = "derived";

/// Whether a person chose a stored value or the platform derived it (RUN-80a).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::EnumCount, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "lowercase")]
pub enum Origin {
    /// Chosen.
    Set,
    /// Derived, and free to be derived anew.
    Derived,
}

vocabulary!(Origin);

/// Provider named by the text before the first `/`; `None` without a `/` or for an unlisted prefix.
/// Case-sensitive, as the image's own derivation is. A hint: the runtime may decide otherwise at boot.
#[must_use]
pub fn derive_provider(model: &str) -> Option<&'static str> {
    let (prefix, _) = model.split_once('/')?;
    Some(match prefix {
        "xai" | "grok" => "xai",
        "bedrock" | "aws" => "bedrock",
        "tencent" | "tencent-tokenhub" => "tencent-tokenhub",
        "lmstudio" | "lm-studio" => "lmstudio",
        "gmi" => "gmi",
        "qwen-oauth" => "qwen-oauth",
        "minimax-oauth" => "minimax-oauth",
        "alibaba-coding-plan" => "alibaba-coding-plan",
        "google-gemini-cli" => "google-gemini-cli",
        "openai-codex" => "openai-codex",
        "copilot-acp" => "copilot-acp",
        "copilot" => "copilot",
        // The image decides by which key is present; unknown at this point (accepted divergence).
        "nousresearch" | "openai" | "openrouter" => "openrouter",
        "minimax" => "minimax",
        "anthropic" => "anthropic",
        "gemini" => "gemini",
        "alibaba" => "alibaba",
        "zai" => "zai",
        "kimi-coding" => "kimi-coding",
        "deepseek" => "deepseek",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        // PROV-114
        for (model, provider) in [
            ("grok/grok-4", Some("xai")),
            ("aws/claude", Some("bedrock")),
            ("tencent/hy", Some("tencent-tokenhub")),
            ("lm-studio/x/y", Some("lmstudio")),
            ("openai/gpt-5", Some("openrouter")),
            ("nousresearch/hermes-4", Some("openrouter")),
            ("anthropic/claude-sonnet-4", Some("anthropic")),
            ("sonnet", None),
            ("anthropic:claude-opus-4-7", None),
            ("Anthropic/x", None),
            ("nobody/x", None),
            ("", None),
        ] {
            assert_eq!(derive_provider(model), provider, "{model}");
        }
    }
}
