use std::{
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::PermissionsExt,
            net::{SocketAddr, UnixDatagram, UnixListener},
        },
    },
    path::PathBuf,
};

use molecule_testkit::{skip, user::OrdinaryUser};
use tempfile::TempDir;

use super::{Attacker, MODES, on_path, perl, site, usual_place};

/// Programs of the same user that listen on Unix sockets, as tmux, ssh-agent and the service manager do.
struct Others {
    _listener: UnixListener,
    _abstract: UnixListener,
    datagrams: UnixDatagram,
    dir: TempDir,
    name: String,
}

impl Others {
    fn listen() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let user = OrdinaryUser::default();
        let listener = UnixListener::bind(dir.path().join("stream")).unwrap();
        let datagrams = UnixDatagram::bind(dir.path().join("datagrams")).unwrap();
        datagrams.set_nonblocking(true).unwrap();
        user.owns(&dir.path().join("stream"));
        user.owns(&dir.path().join("datagrams"));
        let name = format!("molecule-test-{}", uuid::Uuid::new_v4());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self {
            _listener: listener,
            _abstract: UnixListener::bind_addr(&address).unwrap(),
            datagrams,
            dir,
            name,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Connects by path, through a link, and by abstract name; then sends from one half of a pair.
    fn attack(&self) -> String {
        perl(&format!(
            r#"use Socket; use Cwd; symlink("{stream}", "link");
            for my $path ("{stream}", getcwd() . "/link", "\0{name}") {{
                socket(my $s, PF_UNIX, SOCK_STREAM, 0) or next;
                connect($s, sockaddr_un($path)) and print "connected $path\n";
            }}
            if (socketpair(my $one, my $two, PF_UNIX, SOCK_DGRAM, 0)) {{
                send($one, "x", 0, sockaddr_un("{datagrams}")) and print "sent\n";
            }}
            print "end\n""#,
            stream = self.path("stream").display(),
            datagrams = self.path("datagrams").display(),
            name = self.name,
        ))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unix_sockets_do_not_lead_out() {
    // D32
    const TEST: &str = "attacks::sockets::unix_sockets_do_not_lead_out";
    if !on_path("perl") {
        return skip(TEST, "perl is missing");
    }
    for mode in MODES {
        let others = Others::listen();
        let site = site(&usual_place(), mode);
        let Some(attacker) = Attacker::take_over(site.start("server")).await else {
            skip(TEST, "this kernel has no sandbox, and required means required");
            continue;
        };
        assert_eq!(attacker.runs(&others.attack()).await, "end", "{mode}");
        let mut buffer = [0; 1];
        assert!(others.datagrams.recv(&mut buffer).is_err(), "{mode}: nothing arrived");

        // Pairs stay, and with them what pipes its input through them.
        let pair = perl(r#"use Socket; socketpair(my $one, my $two, PF_UNIX, SOCK_STREAM, 0) and print "pair""#);
        assert_eq!(attacker.runs(&pair).await, "pair", "{mode}");
        if cfg!(target_arch = "x86_64") {
            // io_uring, which makes sockets without a call of that name, and the number that x32 gives to `socket`.
            let ways_round = perl(
                r#"my $p = "\0" x 256; print syscall(425, 1, $p), " ", $!+0, " ", syscall(0x40000000 + 41, 1, 1, 0), " ", $!+0"#,
            );
            assert_eq!(attacker.runs(&ways_round).await, "-1 1 -1 38", "{mode}");
        } else {
            skip(TEST, "the ways round a filter are tried on x86-64 only");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_may_be_allowed_unix_sockets() {
    // D32
    const TEST: &str = "attacks::sockets::a_runtime_may_be_allowed_unix_sockets";
    if !on_path("perl") {
        return skip(TEST, "perl is missing");
    }
    for (allowed, connected) in [("exec", 3), ("native", 0)] {
        let others = Others::listen();
        let mut site = site(&usual_place(), "best-effort");
        site.set("MOLECULE_SANDBOX_UNIX_SOCKETS", allowed);
        let attacker = Attacker::take_over(site.start("server")).await.unwrap();
        let said = attacker.runs(&others.attack()).await;
        // Shows too that the attack works where nothing stands in its way.
        assert_eq!(said.matches("connected").count(), connected, "{allowed}: {said}");
        assert_eq!(said.contains("sent"), connected > 0, "{allowed}: {said}");
    }
}
