//! Running programs: in a process group of their own that ends as a whole, with bounded time and output.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, time::Duration};

use molecule_core::contract::env as contract;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

/// How long output is waited for once the program and its group have ended.
const DRAIN: Duration = Duration::from_secs(1);

/// What to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// Program.
    pub program: String,
    /// Arguments.
    pub args: Vec<String>,
    /// Working directory.
    pub dir: PathBuf,
    /// The whole environment of the child.
    pub env: BTreeMap<String, String>,
    /// Written to its standard input, which is then closed.
    pub stdin: Vec<u8>,
    /// Longest run; `None` means no limit.
    pub timeout: Option<Duration>,
    /// Bytes of each of its outputs that are kept; the rest is read and dropped.
    pub output_bytes: usize,
}

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal.
    Signalled,
    /// Killed at its limit.
    TimedOut(Duration),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub end: End,
    /// Standard output.
    pub stdout: Captured,
    /// Standard error.
    pub stderr: Captured,
}

/// Output of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The first bytes.
    pub bytes: Vec<u8>,
    /// There was more.
    pub truncated: bool,
}

impl Captured {
    /// As text, with replacement characters for what is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// It is not known how it ended.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It could not be started.
    #[error("could not start {program}")]
    Start {
        /// The program.
        program: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Waiting failed.
    #[error("lost track of the process")]
    Lost(#[source] std::io::Error),
}

/// Kills the whole group when dropped: on the end of the program, its time-out, and cancellation alike, so that
/// nothing it left in the background goes on.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0
            && let Err(error) = kill_process_group(pid, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(%error, "a process group could not be killed");
        }
    }
}

impl Job {
    /// Runs to the end. Dropping the future kills the group.
    ///
    /// # Errors
    /// See [`JobError`].
    pub async fn run(self) -> Result<Ended, JobError> {
        let mut child = self.command().spawn().map_err(|source| JobError::Start {
            program: self.program.clone(),
            source,
        })?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let (mut stdout, mut stderr) = (Captured::default(), Captured::default());
        let end = {
            let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let talk = async {
                let ((), out, err) = tokio::join!(
                    feed(input, &self.stdin),
                    capture(out, self.output_bytes, &mut stdout),
                    capture(err, self.output_bytes, &mut stderr)
                );
                out.and(err)
            };
            tokio::pin!(talk);
            let mut talked = None;
            let end = {
                let ended = wait(&mut child, self.timeout);
                tokio::pin!(ended);
                loop {
                    tokio::select! {
                        end = &mut ended => break end?,
                        result = &mut talk, if talked.is_none() => talked = Some(result),
                    }
                }
            };
            // What it left behind holds the pipes open and would keep us reading for ever.
            drop(group);
            if talked.is_none() {
                // So does what left the group, and nothing can be done about that.
                talked = timeout(DRAIN, talk).await.ok();
            }
            match talked {
                Some(result) => result.map_err(JobError::Lost)?,
                None => tracing::warn!(
                    program = self.program,
                    "something that it started still holds its output"
                ),
            }
            end
        };
        Ok(Ended { end, stdout, stderr })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .current_dir(&self.dir)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

async fn wait(child: &mut Child, limit: Option<Duration>) -> Result<End, JobError> {
    let status = match limit {
        None => child.wait().await,
        Some(limit) => match timeout(limit, child.wait()).await {
            Ok(status) => status,
            Err(_) => return Ok(End::TimedOut(limit)),
        },
    };
    let code = status.map_err(JobError::Lost)?.code();
    Ok(code.map_or(End::Signalled, End::Exited))
}

async fn feed(pipe: Option<ChildStdin>, input: &[u8]) {
    let Some(mut pipe) = pipe else { return };
    // A program may end or close its input without reading it; that is its right.
    if let Err(error) = pipe.write_all(input).await {
        tracing::debug!(%error, "the program did not read all of its input");
    }
}

/// Reads to the end and keeps the beginning: a program that is not read from blocks.
async fn capture(pipe: Option<impl AsyncRead + Unpin>, keep: usize, captured: &mut Captured) -> std::io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut buffer = vec![0; 16 << 10];
    loop {
        let n = pipe.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        let room = keep.saturating_sub(captured.bytes.len());
        captured.bytes.extend_from_slice(&buffer[..n.min(room)]);
        captured.truncated |= n > room;
    }
}

/// The environment for programs that a model or a configuration chose: what tools need to work, and nothing that opens
/// doors (RUN-33, D18).
pub fn clean_env<'a>(vars: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    const KEPT: [&str; 14] = [
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TERM",
        "SHELL",
        "USER",
        "LOGNAME",
        contract::WORKSPACE_ID,
        contract::INSTANCE,
        contract::WORK_DIR,
    ];
    let mut env: BTreeMap<_, _> = vars
        .filter(|(name, _)| {
            KEPT.contains(name) || name.starts_with("GIT_AUTHOR_") || name.starts_with("GIT_COMMITTER_")
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    env.entry("PATH".to_owned())
        .or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".to_owned());
    env
}

#[cfg(test)]
mod tests {
    use molecule_testkit::PATIENCE;

    use super::*;

    fn sh(script: &str) -> Job {
        Job {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            dir: std::env::temp_dir(),
            env: clean_env([("PATH", "/usr/bin:/bin")].into_iter()),
            stdin: Vec::new(),
            timeout: None,
            output_bytes: 100,
        }
    }

    #[tokio::test]
    async fn input_output_and_code() {
        let ended = Job {
            stdin: b"hello".to_vec(),
            ..sh("cat; echo oops >&2; exit 3")
        }
        .run()
        .await
        .unwrap();
        assert_eq!(
            (ended.end, ended.stdout.text().as_str(), ended.stderr.text().as_str()),
            (End::Exited(3), "hello", "oops\n")
        );
    }

    #[tokio::test]
    async fn long_output_is_cut_but_drained() {
        let ended = sh("head -c 1000000 /dev/zero; echo end >&2").run().await.unwrap();
        assert_eq!((ended.stdout.bytes.len(), ended.stdout.truncated), (100, true));
        assert_eq!((ended.end, ended.stderr.text().as_str()), (End::Exited(0), "end\n"));
    }

    #[tokio::test]
    async fn unread_input_is_no_error() {
        let ended = Job {
            stdin: vec![b'x'; 1 << 20],
            ..sh("exit 0")
        }
        .run()
        .await
        .unwrap();
        assert_eq!(ended.end, End::Exited(0));
    }

    #[tokio::test]
    async fn background_children_neither_outlive_nor_block() {
        let ended = sh("sleep 1000 & echo $!").run().await.unwrap();
        let pid: i32 = ended.stdout.text().trim().parse().unwrap();
        gone(pid).await;
    }

    #[tokio::test]
    async fn what_leaves_the_group_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!(
            "setsid sh -c 'echo $$ > {0}.tmp; mv {0}.tmp {0}; exec sleep 1000' & \
             until test -e {0}; do :; done; echo done",
            file.display()
        );
        let ended = sh(&script).run().await.unwrap();
        assert_eq!((ended.end, ended.stdout.text().as_str()), (End::Exited(0), "done\n"));
        let pid = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        gone(pid).await;
    }

    #[tokio::test]
    async fn a_time_out_returns_what_was_said() {
        // RUN-47
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("said");
        let job = Job {
            timeout: Some(Duration::from_secs(3_600)),
            ..sh(&format!("echo begun; touch {}; sleep 10000", file.display()))
        };
        let job = tokio::spawn(job.run());
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(3_601)).await;
        tokio::time::resume();
        let ended = job.await.unwrap().unwrap();
        assert!(matches!(ended.end, End::TimedOut(_)));
        assert_eq!(ended.stdout.text(), "begun\n");
    }

    #[tokio::test]
    async fn time_out_and_cancel_kill_the_group() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {0}.tmp; mv {0}.tmp {0}; wait", file.display());
        for cancelled in [false, true] {
            let job = Job {
                timeout: Some(PATIENCE * 2),
                ..sh(&script)
            };
            let task = tokio::spawn(job.run());
            let pid = eventually("the job runs", || std::fs::read_to_string(&file).ok()).await;
            if cancelled {
                task.abort();
            } else {
                tokio::time::pause();
                tokio::time::advance(PATIENCE * 2).await;
                tokio::time::resume();
                assert!(matches!(task.await.unwrap().unwrap().end, End::TimedOut(_)));
            }
            gone(pid.trim().parse().unwrap()).await;
            std::fs::remove_file(&file).unwrap();
        }
    }

    /// Waits until a process is no more, or only a zombie that nobody reaped yet.
    async fn gone(pid: i32) {
        let stat = format!("/proc/{pid}/stat");
        let ended = || match std::fs::read_to_string(&stat) {
            Ok(stat) => stat.contains(") Z").then_some(()),
            Err(_) => Some(()),
        };
        eventually("the process ends", ended).await;
    }

    async fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(std::time::Instant::now() < deadline, "{what}: waited in vain");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn what_does_not_exist_is_named() {
        let error = Job {
            program: "/no/such/program".into(),
            ..sh("")
        }
        .run()
        .await
        .unwrap_err();
        assert!(error.to_string().contains("/no/such/program"));
    }

    #[test]
    fn credentials_do_not_reach_children() {
        // RUN-33, D18
        let env = clean_env(
            [
                ("OPENAI_API_KEY", "k"),
                ("MOLECULE_WORKSPACE_TOKEN", "t"),
                ("HOME", "/h"),
                ("GIT_AUTHOR_NAME", "n"),
            ]
            .into_iter(),
        );
        assert_eq!(env.keys().collect::<Vec<_>>(), ["GIT_AUTHOR_NAME", "HOME", "PATH"]);
    }
}
