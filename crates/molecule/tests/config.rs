//! Precedence, strictness and reporting of the configuration.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{path::Path, time::Duration};

use molecule::config::{AuthMode, BackendChoice, EXAMPLE, Flags, Kind, Loaded, LogFormat, Sources, load, settings};
use molecule_core::{contract::Sandbox, limits};
use secrecy::ExposeSecret;

const HOME: (&str, &str) = ("HOME", "/home/u");

fn env(vars: &[(&'static str, &'static str)]) -> Sources {
    Sources::of(Flags::default(), [HOME].into_iter().chain(vars.iter().copied()))
}

fn problems(sources: &Sources) -> Vec<String> {
    load(sources)
        .unwrap_err()
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn entry<'a>(loaded: &'a Loaded, key: &str) -> (&'a str, &'a str) {
    let entry = loaded.entries.iter().find(|entry| entry.key == key).unwrap();
    (&entry.value, &entry.origin)
}

#[test]
fn defaults_are_the_limits_of_the_specification() {
    // SEC-220, D10
    let loaded = load(&env(&[])).unwrap();
    let config = &loaded.config;
    assert_eq!(config.data_dir, Path::new("/home/u/.local/share/molecule"));
    assert_eq!(config.listen().to_string(), "127.0.0.1:8080");
    assert_eq!(
        config.database_url.expose_secret(),
        "sqlite:///home/u/.local/share/molecule/server/molecule.db"
    );
    assert_eq!(
        (config.auth, config.backend, config.sandbox, config.log.format),
        (
            AuthMode::Required,
            BackendChoice::Auto,
            Sandbox::BestEffort,
            LogFormat::Pretty
        )
    );
    assert_eq!(config.rate_limit, limits::ADDRESS_RATE);
    assert!(config.trusted_proxies.is_empty());
    assert_eq!(config.credential_rate, limits::CREDENTIAL_RATE);
    assert_eq!(config.sockets_per_credential, limits::SOCKETS_PER_CREDENTIAL);
    assert_eq!(config.bodies, molecule_api::Bodies::default());
    assert_eq!(config.a2a_idle_timeout, limits::A2A_IDLE_TIMEOUT);
    assert_eq!(config.a2a_header_timeout, limits::A2A_HEADER_TIMEOUT);
    assert_eq!(config.remote_stale_after, limits::REMOTE_STALE_AFTER);
    assert_eq!(
        config.provision_concurrency.unwrap().get() as usize,
        limits::PROVISION_CONCURRENCY
    );
    assert_eq!(config.import_pause, limits::IMPORT_CHILD_PAUSE);
    assert_eq!(config.activity_retention, Duration::from_secs(7 * 86_400));
    assert_eq!(config.activity_cleanup, Duration::from_secs(6 * 3_600));
    assert!(config.metrics_public && !config.test_tokens && !config.saas);
    assert!(config.provision_timeout.is_none() && config.cors_origins.is_none() && config.llm.keys.is_empty());
    assert_eq!(loaded.entries.len(), settings::ALL.len());
    assert!(loaded.entries.iter().all(|entry| entry.origin == "default"));
    assert!(loaded.warnings.is_empty());
}

#[test]
fn problems_of_form_hide_none_of_content() {
    // D10
    let file = "prot = 9000\nport = \"x\"\nhost = \"300.1.1.1\"\nauth = \"maybe\"\n";
    let sources = env(&[("MOLECULE_SANDBOXX", "off")]).with_file_text(Path::new("m.toml"), file);
    let told = load(&sources).unwrap_err().to_string();
    for part in [
        "m.toml:1: unknown key",
        "m.toml:2: port",
        "m.toml:3: host",
        "m.toml:4: auth",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(told.contains("warning: MOLECULE_SANDBOXX is not a setting"), "{told}");
    let twice = env(&[]).with_file_text(Path::new("m.toml"), "port = 1\nport = \"x\"\nauth = \"maybe\"\n");
    let told = problems(&twice);
    assert!(told.iter().any(|problem| problem.starts_with("m.toml:2: ")), "{told:?}");
    assert!(
        told.iter().any(|problem| problem.starts_with("m.toml:3: auth")),
        "{told:?}"
    );
}

// D33: whoever may send the longest body of a route gets it in, and a part is no more than the whole.
#[test]
fn memory_for_bodies_holds_the_longest() {
    let of = |all, admin, guests| {
        env(&[
            ("MOLECULE_BODIES_MEMORY_MB", all),
            ("MOLECULE_ADMIN_BODIES_MEMORY_MB", admin),
            ("MOLECULE_GUEST_BODIES_MEMORY_MB", guests),
        ])
    };
    let bodies = load(&of("32", "32", "8")).unwrap().config.bodies;
    assert_eq!(
        (bodies.all, bodies.of_admin, bodies.of_guests),
        (32 << 20, 32 << 20, 8 << 20)
    );
    let refused = |all, admin, guests, told: &str| {
        let all = problems(&of(all, admin, guests));
        assert!(all.len() == 1 && all[0].contains(told), "{told}: {all:?}");
    };
    refused(
        "256",
        "31",
        "8",
        "MOLECULE_ADMIN_BODIES_MEMORY_MB: expected a whole number of MiB, 32 or more",
    );
    refused(
        "256",
        "32",
        "7",
        "MOLECULE_GUEST_BODIES_MEMORY_MB: expected a whole number of MiB, 8 or more",
    );
    refused(
        "256",
        "257",
        "8",
        "expected no more than bodies_memory_mb, which is 256 MiB",
    );
    refused(
        "40",
        "32",
        "64",
        "MOLECULE_GUEST_BODIES_MEMORY_MB: expected no more than bodies_memory_mb",
    );
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let file = "port = 1\nhost = '::1'\nlog = 'warn'\n";
    let mut flags = Flags::default();
    flags
        .set(&settings::PORT, Some("3"))
        .set(&settings::HOST, None::<String>);
    let sources = Sources::of(flags, [HOME, ("PORT", "2"), ("MOLECULE_LOG", " debug ")]);
    let loaded = load(&sources.with_file_text(Path::new("/etc/m.toml"), file)).unwrap();
    assert_eq!(entry(&loaded, "port"), ("3", "--port"));
    assert_eq!(entry(&loaded, "log"), ("debug", "MOLECULE_LOG"));
    assert_eq!(entry(&loaded, "host"), ("::1", "/etc/m.toml:2"));
    assert_eq!(entry(&loaded, "log_format"), ("pretty", "default"));
    assert_eq!(loaded.config.listen().to_string(), "[::1]:3");
}

#[test]
fn an_empty_variable_is_unset() {
    // SEC-220
    let loaded = load(&env(&[("PORT", "  "), ("MOLECULE_AUTH", ""), ("ADMIN_TOKEN", " ")])).unwrap();
    assert_eq!(loaded.config.port, 8080);
    assert!(loaded.config.admin_token.is_none());
}

#[test]
fn a_bad_variable_of_the_specification_warns() {
    // SEC-220: a bad value never stops the boot unless the row says fatal.
    let loaded = load(&env(&[
        ("PORT", "http"),
        ("RATE_LIMIT", "0"),
        ("A2A_IDLE_TIMEOUT_SECONDS", "soon"),
        ("PROVISION_TIMEOUT_SECONDS", "-1"),
        ("REMOTE_LIVENESS_STALE_AFTER", "1.5"),
        ("ACTIVITY_RETENTION_DAYS", "-7"),
        ("MOLECULE_PROVISION_CONCURRENCY", "-1"),
        ("MOLECULE_ENABLE_TEST_TOKENS", "maybe"),
        ("MOLECULE_DEPLOY_MODE", "sass"),
        ("MOLECULE_ORG_ID", "org"),
    ]))
    .unwrap();
    assert_eq!(loaded.warnings.len(), 9, "{:#?}", loaded.warnings);
    let rate = loaded
        .warnings
        .iter()
        .find(|warning| warning.starts_with("RATE_LIMIT"))
        .unwrap();
    assert_eq!(
        rate,
        "RATE_LIMIT: expected a whole number above 0 (got \"0\"); using the default: 600"
    );
    assert_eq!((loaded.config.port, loaded.config.rate_limit), (8080, 600));
    assert!(loaded.config.provision_timeout.is_none());
    // SEC-170: a typo must not relax anything, even with an org id.
    assert!(!loaded.config.saas);
}

#[test]
fn concurrent_starts_of_an_import() {
    // PROV-138
    for (value, cap) in [
        ("", Some(3)),
        (" 5 ", Some(5)),
        ("0", None),
        ("-1", Some(3)),
        ("many", Some(3)),
    ] {
        let loaded = load(&env(&[("MOLECULE_PROVISION_CONCURRENCY", value)])).unwrap();
        let read = loaded.config.provision_concurrency.map(std::num::NonZero::get);
        assert_eq!(read, cap, "{value:?}");
        assert_eq!(loaded.warnings.is_empty(), !matches!(value, "-1" | "many"), "{value:?}");
    }
}

#[test]
fn hosted_mode_follows_the_org_unless_said() {
    // SEC-170
    let saas = |vars| load(&env(vars)).unwrap().config.saas;
    assert!(saas(&[("MOLECULE_ORG_ID", "org")]));
    assert!(saas(&[("MOLECULE_DEPLOY_MODE", " SaaS ")]));
    assert!(!saas(&[
        ("MOLECULE_ORG_ID", "org"),
        ("MOLECULE_DEPLOY_MODE", "Standalone")
    ]));
    assert!(!saas(&[("MOLECULE_ORG_ID", " ")]));
}

#[test]
fn every_problem_is_reported_at_once() {
    // D10
    let mut flags = Flags::default();
    flags
        .set(&settings::PORT, Some("99999"))
        .set(&settings::LOG, Some("a=b=c"));
    let sources = Sources::of(
        flags,
        [
            ("MOLECULE_SANDBOX", "sometimes"),
            ("SECRETS_ENCRYPTION_KEY", "hunter2"),
            ("DATABASE_URL", "mysql://u:pw@h/d"),
        ],
    )
    .with_file_text(Path::new("m.toml"), "sandbocks = 'off'\nrate_limit = 0\n");
    let all = problems(&sources);
    assert_eq!(
        all[0],
        "m.toml:1: unknown key \"sandbocks\"; `molecule config` lists the known ones"
    );
    let text = load(&sources).unwrap_err().to_string();
    for expected in [
        "neither HOME nor XDG_DATA_HOME is set",
        "--port: expected a port from 0 to 65535 (got \"99999\")",
        "--log: not a log filter",
        "MOLECULE_SANDBOX: expected one of required, best-effort, off (got \"sometimes\")",
        "SECRETS_ENCRYPTION_KEY: expected the base64 of 32 bytes",
        "DATABASE_URL: expected sqlite:///absolute/path.db",
    ] {
        assert!(text.contains(expected), "{expected} not in\n{text}");
    }
    // SEC-145
    assert!(!text.contains("hunter2") && !text.contains(":pw@"), "{text}");
    assert_eq!(text.lines().count(), 1 + all.len());
}

#[test]
fn the_file_is_strict_where_the_environment_is_lenient() {
    let sources = env(&[]).with_file_text(Path::new("/m.toml"), "host = 'h'\nrate_limit = 0\n");
    assert_eq!(
        problems(&sources),
        [
            "/m.toml:1: host: expected an IP address such as 127.0.0.1 or ::1 (got \"h\")",
            "/m.toml:2: rate_limit: expected a whole number above 0 (got \"0\")",
        ]
    );
}

#[test]
fn open_mode_stays_on_the_loopback() {
    // D2
    let all = problems(&env(&[("MOLECULE_AUTH", "open"), ("MOLECULE_HOST", "0.0.0.0")]));
    assert_eq!(
        all,
        ["MOLECULE_AUTH: open needs a loopback address, not 0.0.0.0; use required, or host 127.0.0.1"]
    );
    let loaded = load(&env(&[("MOLECULE_AUTH", "OPEN"), ("MOLECULE_HOST", "::1")])).unwrap();
    assert_eq!(loaded.config.auth, AuthMode::Open);
    assert!(loaded.warnings[0].contains("everybody"));
}

#[test]
fn secrets_are_never_shown() {
    // D10, SEC-145
    let loaded = load(&env(&[
        ("ADMIN_TOKEN", "hunter2"),
        ("ANTHROPIC_API_KEY", "hunter2"),
        ("DATABASE_URL", "postgres://molecule:hunter2@db/molecule"),
    ]))
    .unwrap();
    assert_eq!(entry(&loaded, "admin_token"), ("set", "ADMIN_TOKEN"));
    assert_eq!(entry(&loaded, "database_url").0, "postgres://molecule:***@db/molecule");
    assert_eq!(
        loaded.config.llm.keys.keys().collect::<Vec<_>>(),
        [&"ANTHROPIC_API_KEY"]
    );
    let all = format!("{loaded:?}{}", serde_json::to_string(&loaded.entries).unwrap());
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn paths_start_where_they_were_written() {
    let loaded = load(
        &env(&[("CONFIGS_DIR", "templates"), ("WORKSPACE_DIR", "~/work")]).with_file_text(
            Path::new("/etc/molecule/m.toml"),
            "workspace_manifest_path = 'manifest.json'\n",
        ),
    )
    .unwrap();
    let config = &loaded.config;
    assert_eq!(config.configs_dir.as_deref(), Some(Path::new("/cwd/templates")));
    assert_eq!(config.workspace_dir.as_deref(), Some(Path::new("/home/u/work")));
    assert_eq!(
        config.manifest_path.as_deref(),
        Some(Path::new("/etc/molecule/manifest.json"))
    );
    assert_eq!(entry(&loaded, "configs_dir").0, "/cwd/templates");
    let xdg = load(&env(&[("XDG_DATA_HOME", "/data")])).unwrap();
    assert_eq!(xdg.config.data_dir, Path::new("/data/molecule"));
    let relative = load(&env(&[("XDG_DATA_HOME", "data")])).unwrap();
    assert_eq!(relative.config.data_dir, Path::new("/home/u/.local/share/molecule"));
}

#[test]
fn a_slip_in_the_name_of_a_variable_is_noticed() {
    let loaded = load(&env(&[
        ("MOLECULE_SANBOX", "off"),
        ("MOLECULE_INSTANCE", "x"),
        ("MOLECULE_URL", "y"),
    ]))
    .unwrap();
    assert_eq!(
        loaded.warnings,
        ["MOLECULE_SANBOX is not a setting; did you mean MOLECULE_SANDBOX?"]
    );
}

#[test]
fn a_missing_or_exposed_file_is_reported() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("m.toml");
    let all = problems(&env(&[]).with_file(&path));
    assert_eq!(all, [format!("{}: there is no such file", path.display())]);
    std::fs::write(&path, "admin_token = 'x'\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let loaded = load(&env(&[]).with_file(&path)).unwrap();
    assert!(loaded.warnings[0].contains("chmod 600"), "{:?}", loaded.warnings);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert!(load(&env(&[]).with_file(&path)).unwrap().warnings.is_empty());
}

/// The example with every setting switched on.
fn uncommented() -> String {
    let is_setting = |line: &&str| {
        line.strip_prefix("# ").is_some_and(|rest| {
            rest.split(" = ")
                .next()
                .is_some_and(|key| settings::by_key(key).is_some())
        })
    };
    EXAMPLE
        .lines()
        .filter(is_setting)
        .map(|line| format!("{}\n", &line[2..]))
        .collect()
}

#[test]
fn the_example_is_complete_and_good() {
    let as_it_is = load(&env(&[]).with_file_text(Path::new("/example.toml"), EXAMPLE)).unwrap();
    assert!(as_it_is.entries.iter().all(|entry| entry.origin == "default"));
    let all_set = load(&env(&[]).with_file_text(Path::new("/example.toml"), &uncommented())).unwrap();
    let unset: Vec<_> = all_set
        .entries
        .iter()
        .filter(|entry| entry.origin == "default")
        .map(|entry| entry.key)
        .collect();
    assert!(unset.is_empty(), "not in the example: {unset:?}");
    for setting in settings::ALL.iter().filter(|setting| !setting.default.is_empty()) {
        let shown = &all_set
            .entries
            .iter()
            .find(|entry| entry.key == setting.key)
            .unwrap()
            .value;
        assert_eq!(
            shown, setting.default,
            "the example shows another default of {}",
            setting.key
        );
    }
}

// D28
#[test]
fn the_public_address_has_an_older_name() {
    let read = |env: &[(&'static str, &'static str)]| {
        let loaded = load(&Sources::of(
            Flags::default(),
            env.iter().copied().chain([("HOME", "/home/u")]),
        ))
        .unwrap();
        let entry = loaded.entries.iter().find(|entry| entry.key == "public_url").unwrap();
        (
            loaded.config.public_url.as_ref().map(ToString::to_string),
            entry.origin.clone(),
        )
    };
    let old = ("EXTERNAL_PLATFORM_URL", "https://old.example/sub");
    let new = ("MOLECULE_PUBLIC_URL", "https://new.example/sub");
    assert_eq!(read(&[]), (None, "default".to_owned()));
    assert_eq!(read(&[old]), (Some(old.1.to_owned()), old.0.to_owned()));
    assert_eq!(read(&[old, new]), (Some(new.1.to_owned()), new.0.to_owned()));
    let file = "external_platform_url = \"https://old.example/sub\"";
    let sources = Sources::of(Flags::default(), [("HOME", "/home/u")]).with_file_text(Path::new("/m.toml"), file);
    let loaded = load(&sources).unwrap();
    assert_eq!(loaded.config.public_url.unwrap().as_str(), "https://old.example/sub");
}

#[test]
fn the_manual_lists_every_setting() {
    let manual = include_str!("../../../docs/configuration.md");
    for setting in settings::ALL {
        let row = format!("| `{}` | `{}` |", setting.key, setting.env);
        assert!(
            manual.contains(&row),
            "docs/configuration.md has no row beginning {row}"
        );
    }
}

// SEC-220, D10
#[test]
fn every_variable_of_the_specification_is_known() {
    // The table of security.md §18.
    let specified = "DATABASE_URL REDIS_URL PORT PLATFORM_URL EXTERNAL_PLATFORM_URL CONFIGS_DIR WORKSPACE_MANIFEST_PATH \
        WORKSPACE_DIR MOLECULE_ENV ADMIN_TOKEN SECRETS_ENCRYPTION_KEY MOLECULE_ENABLE_TEST_TOKENS MOLECULE_ORG_ID \
        MOLECULE_ORG_SLUG MOLECULE_DEPLOY_MODE MOLECULE_IN_DOCKER CP_UPSTREAM_URL CANVAS_PROXY_URL CP_PROVISION_URL \
        MOLECULE_CP_URL MOLECULE_CP_SHARED_SECRET PROVISION_SHARED_SECRET CP_ADMIN_API_TOKEN CORS_ORIGINS RATE_LIMIT \
        ACTIVITY_RETENTION_DAYS ACTIVITY_CLEANUP_INTERVAL_HOURS A2A_IDLE_TIMEOUT_SECONDS PROVISION_TIMEOUT_SECONDS \
        REMOTE_LIVENESS_STALE_AFTER MOLECULE_PROVISION_CONCURRENCY WORKSPACE_IMAGE_LOCAL_OVERRIDE \
        MOLECULE_IMAGE_PLATFORM IMAGE_AUTO_REFRESH GHCR_USER GHCR_TOKEN TIER2_MEMORY_MB TIER3_MEMORY_MB TIER4_MEMORY_MB \
        TIER2_CPU_SHARES TIER3_CPU_SHARES TIER4_CPU_SHARES PLUGIN_INSTALL_BODY_MAX_BYTES PLUGIN_INSTALL_FETCH_TIMEOUT \
        PLUGIN_INSTALL_MAX_DIR_BYTES PLUGIN_ALLOW_UNPINNED MEMORY_PLUGIN_URL MEMORY_V2_CUTOVER \
        MOLECULE_MCP_ALLOW_SEND_MESSAGE AWARENESS_URL AUDIT_LEDGER_SALT GITHUB_WEBHOOK_SECRET DISCORD_APP_PUBLIC_KEY \
        GITHUB_APP_ID GITHUB_APP_INSTALLATION_ID GITHUB_APP_PRIVATE_KEY_FILE MOLECULE_GH_IDENTITY_CONFIG_FILE \
        CF_ARTIFACTS_API_TOKEN CF_ARTIFACTS_NAMESPACE LANGFUSE_HOST LANGFUSE_PUBLIC_KEY LANGFUSE_SECRET_KEY AWS_REGION \
        WORKSPACE_EC2_OS_USER HIBERNATION_IDLE_MINUTES PLUGINS_DIR CONFIGS_HOST_DIR PLUGINS_HOST_DIR CONTAINER_BACKEND";
    for name in specified.split_whitespace() {
        let read = settings::by_env(name).is_some();
        let nothing = settings::WITHOUT_EFFECT.iter().any(|(other, _)| *other == name);
        let later = settings::NOT_YET.contains(&name);
        assert_eq!(
            [read, nothing, later].iter().filter(|known| **known).count(),
            1,
            "{name}"
        );
    }
}

#[test]
fn org_templates_read_no_credential_of_the_server() {
    // PROV-O8: an address may hold a password; these are told to agents anyway.
    let told = ["PLATFORM_URL", "MOLECULE_PUBLIC_URL"];
    for setting in settings::ALL.iter().filter(|setting| !told.contains(&setting.env)) {
        if matches!(setting.kind, Kind::Secret | Kind::Url) {
            assert!(
                !molecule_templates::orgs::may_read_process_env(setting.env),
                "{}",
                setting.env
            );
        }
    }
}

#[test]
fn what_does_nothing_is_said() {
    let loaded = load(&env(&[
        ("REDIS_URL", "redis://x"),
        ("GHCR_USER", "u"),
        ("PLUGINS_DIR", ""),
    ]))
    .unwrap();
    let said = |name: &str| loaded.warnings.iter().any(|warning| warning.starts_with(name));
    assert!(
        said("REDIS_URL has no effect") && said("GHCR_USER has no effect"),
        "{:?}",
        loaded.warnings
    );
    assert!(!said("PLUGINS_DIR"), "an empty variable is unset");
}
