//! Signing in, tokens, secrets and settings.

use std::collections::BTreeMap;

use molecule_wire::{
    StatusBody,
    auth::{
        BuyTicket, LoggedIn, Login, LoginCode, MintOrgToken, MintedOrgToken, MintedToken, OrgTokenList, OrgTokenView,
        RevokedOrgToken, Ticket, TicketPurpose, TokenList, TokenView,
    },
    secrets::{ModelView, ProviderView, SecretChanged, SecretView, SetModel, SetProvider, SetSecret, SettingChanged},
};

use super::{BEARER, Example, LATER, LEAD, NOW, ORG_TOKEN, TOKEN};
use crate::tokens::TestToken;

pub(super) fn examples() -> Vec<Example> {
    [
        sign_in(),
        tokens(),
        org_tokens(),
        secrets(),
        global_secrets(),
        settings(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn status(word: &str) -> StatusBody {
    StatusBody {
        status: word.to_owned(),
    }
}

fn sign_in() -> Vec<Example> {
    let login = Login {
        code: "the-part-behind-#code=".to_owned(),
    };
    let session = LoggedIn {
        session_token: BEARER.to_owned(),
        expires_at: LATER,
    };
    let code = LoginCode {
        login_url: "https://molecule.example.com/#code=works-once".to_owned(),
        expires_at: LATER,
    };
    let wanted = BuyTicket {
        purpose: TicketPurpose::Logs,
        workspace_id: Some(LEAD),
    };
    let ticket = Ticket {
        ticket: "opens-once".to_owned(),
        expires_in: 30,
    };
    vec![
        Example::of("login").asks(login).gives("200", session),
        Example::of("logout").gives("200", status("signed_out")),
        Example::of("create_login_code").gives("201", code),
        Example::of("create_ticket").asks(wanted).gives("201", ticket),
    ]
}

fn tokens() -> Vec<Example> {
    let view = TokenView {
        id: TOKEN,
        prefix: "mol_exam".to_owned(),
        created_at: NOW,
        last_used_at: Some(LATER),
    };
    let list = TokenList {
        tokens: vec![view],
        count: 1,
    };
    let minted = MintedToken {
        auth_token: BEARER.to_owned(),
        workspace_id: LEAD,
        message: "Save this token: it is shown only once".to_owned(),
    };
    let test = TestToken {
        auth_token: BEARER.to_owned(),
        workspace_id: LEAD,
    };
    vec![
        Example::of("list_tokens").gives("200", list),
        Example::of("mint_token").gives("201", minted),
        Example::of("revoke_token").gives("200", status("revoked")),
        Example::of("test_token").gives("200", test),
    ]
}

fn org_tokens() -> Vec<Example> {
    let name = Some("deploy".to_owned());
    let list = OrgTokenList {
        tokens: vec![OrgTokenView {
            id: ORG_TOKEN,
            prefix: "mol_exam".to_owned(),
            name: name.clone(),
            org_id: None,
            created_by: Some("admin-token".to_owned()),
            created_at: NOW,
            last_used_at: None,
            read_only: false,
            expires_at: None,
        }],
        count: 1,
    };
    let minted = MintedOrgToken {
        id: ORG_TOKEN,
        prefix: "mol_exam".to_owned(),
        name: name.clone(),
        org_id: Some(LEAD),
        expires_at: Some(LATER),
        read_only: true,
        auth_token: BEARER.to_owned(),
        warning: "Save this token: it is shown only once, and whoever holds it is admin of every workspace".to_owned(),
    };
    vec![
        Example::of("list_org_tokens").gives("200", list),
        Example::of("mint_org_token")
            .asks(MintOrgToken {
                name,
                org_id: None,
                expires_in: Some(600),
                read_only: true,
            })
            .gives("200", minted),
        Example::of("revoke_org_token").gives("200", RevokedOrgToken { revoked: ORG_TOKEN }),
    ]
}

fn listed(scope: &str) -> [SecretView; 1] {
    [SecretView {
        key: "OPENAI_API_KEY".to_owned(),
        has_value: true,
        scope: scope.to_owned(),
        created_at: NOW,
        updated_at: LATER,
    }]
}

fn setting() -> SetSecret {
    SetSecret {
        key: "OPENAI_API_KEY".to_owned(),
        value: "sk-…".to_owned(),
    }
}

fn changed(word: &str, scope: Option<&str>) -> SecretChanged {
    SecretChanged {
        status: word.to_owned(),
        key: "OPENAI_API_KEY".to_owned(),
        scope: scope.map(str::to_owned),
    }
}

fn secrets() -> Vec<Example> {
    let values = BTreeMap::from([("OPENAI_API_KEY", "sk-…")]);
    vec![
        Example::of("list_secrets").gives("200", listed("workspace")),
        Example::of("set_secret")
            .asks(setting())
            .gives("200", changed("saved", None)),
        Example::of("put_secret")
            .asks(setting())
            .gives("200", changed("saved", None)),
        Example::of("secret_values").gives("200", values),
        Example::of("delete_secret").gives("200", changed("deleted", None)),
    ]
}

fn global_secrets() -> Vec<Example> {
    let global = Some("global");
    let saved = |operation| {
        Example::of(operation)
            .asks(setting())
            .gives("200", changed("saved", global))
    };
    let list = |operation| Example::of(operation).gives("200", listed("global"));
    let delete = |operation| Example::of(operation).gives("200", changed("deleted", global));
    vec![
        list("list_global_secrets"),
        list("admin_list_global_secrets"),
        saved("set_global_secret"),
        saved("put_global_secret"),
        saved("admin_set_global_secret"),
        delete("delete_global_secret"),
        delete("admin_delete_global_secret"),
    ]
}

fn settings() -> Vec<Example> {
    let model = "anthropic:claude-sonnet-4-5".to_owned();
    let provider = "anthropic".to_owned();
    let source = "workspace_secrets".to_owned();
    let saved = SettingChanged {
        status: "saved".to_owned(),
        model: None,
        provider: None,
    };
    vec![
        Example::of("get_model").gives(
            "200",
            ModelView {
                model: model.clone(),
                source: source.clone(),
            },
        ),
        Example::of("set_model").asks(SetModel { model: model.clone() }).gives(
            "200",
            SettingChanged {
                model: Some(model),
                ..saved.clone()
            },
        ),
        Example::of("get_provider").gives(
            "200",
            ProviderView {
                provider: provider.clone(),
                source,
            },
        ),
        Example::of("set_provider")
            .asks(SetProvider {
                provider: provider.clone(),
            })
            .gives(
                "200",
                SettingChanged {
                    provider: Some(provider),
                    ..saved
                },
            ),
    ]
}
