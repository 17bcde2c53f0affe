//! A Postgres server of our own, in a folder of its own, that ends with whoever started it.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Told what to do line by line; when its input ends, for whatever reason, so do the server and its files.
/// The collation is not that of bytes, and TLS is there for who asks for it.
const KEEPER: &str = r#"
set -u
cd "$FOLDER"
initdb --no-sync --auth=trust --username=mlops --encoding=UTF8 --locale=C --locale-provider=icu \
    --icu-locale=en-US --pgdata=data >log 2>&1 || { cat log >&2; exit 1; }
openssl req -x509 -newkey rsa:2048 -nodes -keyout data/server.key -out data/server.crt -days 30 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost >>log 2>&1 && tls=on || tls=off
start() {
    postgres -D data -p "$PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$FOLDER" \
        -c shared_buffers=16MB -c max_connections=60 -c ssl=$tls >>log 2>&1 &
    pid=$!
    until pg_isready --quiet --host="$FOLDER" --port="$PORT" --dbname=postgres; do
        kill -0 $pid || { cat log >&2; exit 1; }
        sleep 0.02
    done
    echo "ready $tls"
}
start
while read -r word; do
    case $word in
        kill) kill -9 $pid $(ps -o pid= --ppid $pid); wait $pid; echo killed ;;
        start) start ;;
    esac
done
kill -QUIT $pid 2>/dev/null
wait $pid
rm -rf "$FOLDER"
"#;
/// Who runs the server where we are root, whom it refuses.
const NOBODY: u32 = 65_534;

/// A running server.
pub(crate) struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
    /// Whether it knows TLS.
    pub(crate) tls: bool,
    keeper: Mutex<Keeper>,
    schemas: AtomicUsize,
}

struct Keeper {
    child: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Cluster {
    /// The one of this process; none where Postgres is not installed, which is said.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// Another one.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!("skipped: postgres: initdb is not installed");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("mlops-pg").tempdir().unwrap().keep();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER]).stdin(Stdio::piped()).stdout(Stdio::piped());
        keeper.env("PATH", format!("{}:{path}", programs.display())).env("FOLDER", &folder);
        keeper.env("PORT", port.to_string());
        if folder.metadata().unwrap().uid() == 0 {
            std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
            keeper.uid(NOBODY).gid(NOBODY);
        }
        let mut child = keeper.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut keeper = Keeper { words: child.stdin.take(), child, answers };
        let tls = keeper.answer() == "ready on";
        let (keeper, schemas) = (Mutex::new(keeper), AtomicUsize::new(0));
        Some(Self { folder, programs, port, tls, keeper, schemas })
    }

    /// A schema that nobody else has, and the URL of the record in it.
    pub(crate) fn schema(&self) -> (String, String) {
        let name = format!("record_{}", self.schemas.fetch_add(1, Ordering::Relaxed));
        self.sql(&format!("create schema {name}"));
        let url = format!("{}&options=-csearch_path%3D{name}", self.url("mlops"));
        (name, url)
    }

    /// The URL of the server's first database through its socket.
    pub(crate) fn url(&self, user: &str) -> String {
        let (port, folder) = (self.port, self.folder.display());
        format!("postgresql://{user}@localhost:{port}/postgres?host={folder}")
    }

    /// The URL of the same database over TCP.
    pub(crate) fn tcp(&self, user: &str) -> String {
        format!("postgresql://{user}@localhost:{}/postgres", self.port)
    }

    /// What the server says to a statement, one row a line.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "mlops",
            "-d",
            "postgres",
        ]);
        psql.arg("-h").arg(&self.folder).args(["-p", &self.port.to_string(), "-c", sql]);
        let done = psql.output().unwrap();
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Kills every process of the server at once.
    pub(crate) fn kill(&self) {
        assert_eq!(self.keeper.lock().unwrap().tell("kill"), "killed");
    }

    /// Starts it again.
    pub(crate) fn restart(&self) {
        assert!(self.keeper.lock().unwrap().tell("start").starts_with("ready"));
    }
}

impl Keeper {
    fn tell(&mut self, word: &str) -> String {
        let words = self.words.as_mut().unwrap();
        words.write_all(format!("{word}\n").as_bytes()).unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap();
        keeper.words = None;
        let _ = keeper.child.wait();
    }
}

/// Where `initdb` and its like are: in the path, or where Debian has them.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let has = |folder: &Path| folder.join("initdb").exists() && folder.join("psql").exists();
    let in_path = std::env::split_paths(&path).find_map(|folder| {
        let folder = folder.join("initdb").canonicalize().ok()?.parent()?.to_owned();
        has(&folder).then_some(folder)
    });
    let debian = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let folders = versions.flatten().map(|version| version.path().join("bin"));
        folders.filter(|folder| has(folder)).max()
    };
    in_path.or_else(debian)
}
