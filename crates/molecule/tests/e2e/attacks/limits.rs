use std::{fs, process::Command};

use molecule_testkit::{skip, user::OrdinaryUser};

use super::{Attacker, MODES, offering, on_path, perl, site, usual_place};
use crate::server::Site;

/// Takes the server's descriptors away, puts it last in every queue and onto one processor, and asks for its end; on
/// itself the same calls are allowed.
fn attack(pid: u32) -> String {
    perl(&format!(
        r#"sub call {{ my ($name, $call, @a) = @_; push @a, 0 while @a < 5; print "$name " if syscall($call, $a[0], $a[1], $a[2], $a[3], $a[4]) == 0 }}
        my $limits = pack("QQ", 3, 3); my $one = pack("Q", 1); my $sched = pack("LLQlLQQQ", 48, 5, 0, 19, 0, 0, 0, 0); my $param = pack("l", 0);
        my $p = {pid};
        call("prlimit", 302, $p, 7, $limits, 0); call("setpriority", 141, 0, $p, 19); call("user", 141, 2, 0, 19);
        call("group", 141, 1, $p, 19); call("affinity", 203, $p, 8, $one); call("ioprio", 251, 1, $p, (3 << 13));
        call("scheduler", 144, $p, 5, $param); call("sched_setattr", 314, $p, $sched, 0);
        call("kill", 62, $p, 0);
        print "| ";
        my $own = pack("QQ", 64, 64);
        call("prlimit", 302, 0, 7, $own, 0); call("setpriority", 141, 0, 0, 19); call("affinity", 203, 0, 8, $one);"#
    ))
}

/// What an attack would change.
fn state(pid: u32) -> String {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let allowed = read("status");
    let allowed = allowed
        .lines()
        .find(|line| line.starts_with("Cpus_allowed_list"))
        .unwrap();
    // Priority and nice value.
    format!("{} {} {allowed} {}", fields[15], fields[16], read("limits"))
}

/// The attack works here on whoever is not protected: otherwise nothing is shown by its failure.
fn harms_a_bystander() -> bool {
    let user = OrdinaryUser::default();
    let mut bystander = Command::new("sleep");
    bystander.arg("1000");
    user.runs(&mut bystander);
    let mut bystander = bystander.spawn().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", &attack(bystander.id())]);
    user.runs(&mut shell);
    let said = String::from_utf8(shell.output().unwrap().stdout).unwrap();
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    [
        "prlimit",
        "setpriority",
        "affinity",
        "ioprio",
        "scheduler",
        "sched_setattr",
        "kill",
    ]
    .iter()
    .all(|call| said.split('|').next().unwrap().contains(call))
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_priorities_of_others_stay_as_they_are() {
    // D32
    const TEST: &str = "attacks::limits::limits_and_priorities_of_others_stay_as_they_are";
    if !on_path("perl") || !cfg!(target_arch = "x86_64") {
        return skip(TEST, "the attack is written in Perl with the numbers of x86-64");
    }
    assert!(harms_a_bystander());
    for mode in MODES {
        let site = site(&usual_place(), mode);
        let Some(attacker) = Attacker::take_over(site.start("server")).await else {
            skip(TEST, "this kernel has no sandbox, and required means required");
            continue;
        };
        let pid = attacker.server.pid();
        let before = state(pid);
        let done = attacker.runs(&attack(pid)).await;
        let (others, itself) = done.split_once('|').unwrap();
        // Signals are Landlock's to judge, from Linux 6.12 on.
        let others = if molecule::boot::landlock() == molecule::boot::Landlock::Full {
            others.to_owned()
        } else {
            skip(TEST, "signals: this kernel's Landlock does not judge them");
            others.replace("kill ", "")
        };
        assert_eq!(others.trim(), "", "{mode}");
        assert_eq!(itself.trim(), "prlimit setpriority affinity", "{mode}");
        assert_eq!(state(pid), before, "{mode}");
        assert!(attacker.client.health().await.is_ok(), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tiers_memory_is_a_limit_and_the_server_comes_first() {
    // PROV-63
    const TEST: &str = "attacks::limits::a_tiers_memory_is_a_limit_and_the_server_comes_first";
    if !on_path("perl") {
        return skip(TEST, "perl is missing");
    }
    let hog = perl(r#"$x = "a" x (400 << 20); print "got it""#);
    let usable = molecule_backends::process::limits_of(None);
    for limited in [false, true] {
        if let (true, Err(reason)) = (limited, &usable) {
            skip(TEST, reason);
            continue;
        }
        // Control groups of the first version are root's: whoever runs the tests.
        let mut site = offering(Site::new(None), "best-effort");
        if limited {
            site.set("TIER2_MEMORY_MB", "256");
            site.set("TIER2_CPU_SHARES", "1024");
        }
        let attacker = Attacker::take_over(site.start("server")).await.unwrap();
        let first = attacker.runs("nice; cat /proc/self/oom_score_adj").await;
        assert_eq!(first, "5\n200");
        assert_eq!(attacker.runs(&hog).await.contains("got it"), !limited);
        // Only what asked for too much has ended.
        assert_eq!(attacker.runs("echo alive").await, "alive");
        // Takes its groups along.
        assert_eq!(site.run(&["ws", "rm", "Attacker"]).await.code, Some(0));
    }
}
