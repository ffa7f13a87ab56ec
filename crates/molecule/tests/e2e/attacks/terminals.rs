use std::{
    fs,
    process::{Command, Stdio},
};

use molecule_testkit::{skip, user::OrdinaryUser};

use super::{Attacker, MODES, on_path, perl, site, usual_place};

/// Types a character into a terminal, and says how far it came.
const TYPE: &str = r#"for my $t (@ARGV) { open(my $f, "+<", $t) or next; print "opened\n"; my $c = "x"; ioctl($f, 0x5412, $c) and print "typed\n"; }"#;

/// The attack works here on whoever has the terminal: otherwise nothing is shown by its failure.
fn typing_works() -> bool {
    let mut command = Command::new("script");
    let line = format!("{} /dev/tty", perl(TYPE));
    command
        .args(["--quiet", "--command", &line, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null());
    OrdinaryUser::default().runs(&mut command);
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains("typed")
}

/// The terminal of the server, by its open descriptors.
fn terminal_of(pid: u32) -> String {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let server = children.split_whitespace().next().expect("script has a child");
    let terminal = fs::read_link(format!("/proc/{server}/fd/1")).unwrap();
    terminal.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_terminal_is_neither_read_nor_typed_into() {
    // D32
    const TEST: &str = "attacks::terminals::the_operators_terminal_is_neither_read_nor_typed_into";
    if !on_path("script") || !on_path("perl") {
        return skip(TEST, "script or perl is missing");
    }
    if !typing_works() {
        skip(
            TEST,
            "this kernel lets nobody type into a terminal (dev.tty.legacy_tiocsti)",
        );
    }
    // Unconfined, an agent can open the terminal, which is its user's; but it is not the terminal of its session.
    for mode in MODES.into_iter().chain(["off"]) {
        let site = site(&usual_place(), mode);
        let server = site.start_on_terminal("server");
        let terminal = terminal_of(server.pid());
        let Some(attacker) = Attacker::take_over(server).await else {
            skip(TEST, "this kernel has no sandbox, and required means required");
            continue;
        };
        let said = attacker.runs(&format!("{} /dev/tty {terminal}", perl(TYPE))).await;
        assert!(!said.contains("typed"), "{mode}: {said}");
        let session = attacker.runs("cut -d' ' -f7 /proc/self/stat").await;
        assert_eq!(session, "0", "{mode}: no terminal");
        if mode != "off" {
            assert!(!said.contains("opened"), "{mode}: {said}");
            let read = attacker
                .runs(&format!("head -c 1 {terminal}; ls /dev/pts; echo x > /dev/ptmx"))
                .await;
            assert_eq!(read.matches("ermission denied").count(), 3, "{mode}: {read}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_need_terminals_get_their_own() {
    // D32
    const TEST: &str = "attacks::terminals::agents_that_need_terminals_get_their_own";
    if !on_path("script") || !on_path("perl") {
        return skip(TEST, "script or perl is missing");
    }
    for mode in MODES {
        let mut site = site(&usual_place(), mode);
        site.set("MOLECULE_SANDBOX_TERMINALS", "exec");
        let server = site.start_on_terminal("server");
        let terminal = terminal_of(server.pid());
        let Some(attacker) = Attacker::take_over(server).await else {
            skip(TEST, "this kernel has no sandbox, and required means required");
            continue;
        };
        let own = attacker.runs("script -qec tty /dev/null < /dev/null").await;
        if !own.contains("/dev/pts/0") {
            let log = site.run(&["ws", "logs", "Attacker"]).await.out;
            assert!(log.contains("no terminals of its own"), "{mode}: {own}\n{log}");
            skip(TEST, "this system gives no private terminals to an ordinary user");
        }
        // Its numbers begin anew, so the operator's may be one of its own: what counts is what is there.
        let seen = attacker.runs("ls /dev/pts; cut -d' ' -f7 /proc/self/stat").await;
        assert!(
            seen == "ptmx\n0" || seen.contains("ermission denied"),
            "{mode}: {terminal}: {seen}"
        );
        let mount = attacker.runs("mount -t tmpfs none /tmp && echo mounted").await;
        assert!(!mount.contains("mounted"), "{mode}: {mount}");
    }
}
