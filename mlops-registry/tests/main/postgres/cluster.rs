//! A Postgres server of our own, in a folder of its own, that ends with whoever started it.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Makes a server and keeps it. The collation is not that of bytes, and TLS is there for who asks for it.
///
/// One that a single test has is told what to do line by line, and ends, with its files, when its input
/// does, for whatever reason. A shared one ends when nobody has held its lock for a while.
const KEEPER: &str = r#"
set -u
cd "$FOLDER"
initdb --no-sync --auth=trust --username=mlops --encoding=UTF8 --locale=C --locale-provider=icu \
    --icu-locale=en-US --pgdata=data >log 2>&1 || { cat log >&2; exit 1; }
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost \
    -keyout data/server.key -out data/server.crt >>log 2>&1 && tls=on || tls=off
launch() {
    postgres -D data -p "$PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$FOLDER" \
        -c shared_buffers=16MB -c ssl=$tls >>log 2>&1 &
    pid=$!
    until pg_isready --quiet --host="$FOLDER" --port="$PORT" --dbname=postgres; do
        kill -0 $pid 2>/dev/null || return 1
        sleep 0.02
    done
}
start() {
    # A process of the one before that is not quite dead keeps the new one out.
    tries=0
    until launch; do
        tries=$((tries + 1))
        [ $tries -lt 20 ] || { cat log >&2; exit 1; }
        sleep 0.2
    done
}
start
touch users
echo "$PORT $tls" >starting && mv starting ready
idle=0
while [ -n "$SHARED" ] && [ $idle -lt 15 ]; do
    sleep 1
    flock --exclusive --nonblock users true && idle=$((idle + 1)) || idle=0
    if [ $idle -eq 15 ]; then
        # Nobody comes in from here on.
        exec 9<"$SHARED"
        flock --exclusive 9
        flock --exclusive --nonblock users true || { idle=0; exec 9<&-; }
    fi
done
while [ -z "$SHARED" ] && read -r word; do
    case $word in
        kill) kill -9 $pid $(ps -o pid= --ppid $pid); wait $pid ;;
        start) start ;;
    esac
    echo "$word"
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
    /// Who keeps it for this test alone.
    keeper: Option<Mutex<Keeper>>,
    /// Locked as long as this process uses a shared one.
    _user: File,
    schemas: AtomicUsize,
}

struct Keeper {
    child: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Cluster {
    /// The one of all tests of a run, also where each is a process; none where Postgres is not installed,
    /// which is said.
    #[expect(clippy::zombie_processes, reason = "it outlives this process, for others")]
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        let share = || {
            let run = std::env::var("NEXTEST_RUN_ID");
            let run = run.unwrap_or_else(|_| std::process::id().to_string());
            let folder = room().join(format!("mlops-pg-{run}"));
            let user = fs::metadata(std::env::current_exe().unwrap()).unwrap().uid();
            let path = room().join(format!("mlops-pg-{user}.lock"));
            // Held until this process is one of its users, so that one starts it and nobody ends it.
            let lock = File::create(&path).unwrap();
            lock.lock().unwrap();
            if !folder.join("ready").exists() {
                fs::create_dir(&folder).unwrap();
                keeper(&programs()?, &folder, Some(&path)).spawn().unwrap();
            }
            Some(Self::started(programs()?, folder, None))
        };
        SHARED.get_or_init(|| there(share)).as_ref()
    }

    /// One for this test alone.
    pub(crate) fn start() -> Option<Self> {
        there(|| {
            let programs = programs()?;
            let folder =
                tempfile::Builder::new().prefix("mlops-pg-").tempdir_in(room()).unwrap().keep();
            let mut keeper = keeper(&programs, &folder, None);
            let mut child = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let answers = BufReader::new(child.stdout.take().unwrap());
            let keeper = Keeper { words: child.stdin.take(), child, answers };
            Some(Self::started(programs, folder, Some(Mutex::new(keeper))))
        })
    }

    /// Waits until it takes connections.
    fn started(programs: PathBuf, folder: PathBuf, keeper: Option<Mutex<Keeper>>) -> Self {
        let deadline = Instant::now() + Duration::from_mins(1);
        let ready = loop {
            if let Ok(ready) = fs::read_to_string(folder.join("ready")) {
                break ready;
            }
            let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the server does not start: {}", log());
            thread::sleep(Duration::from_millis(20));
        };
        let (port, tls) = ready.trim().split_once(' ').unwrap();
        let (port, tls) = (port.parse().unwrap(), tls == "on");
        let user = File::open(folder.join("users")).unwrap();
        user.lock_shared().unwrap();
        Self { folder, programs, port, tls, keeper, _user: user, schemas: AtomicUsize::new(0) }
    }

    /// A schema that nobody else has, and the URL of the record in it.
    pub(crate) fn schema(&self) -> (String, String) {
        let number = self.schemas.fetch_add(1, Ordering::Relaxed);
        let name = format!("record_{}_{number}", std::process::id());
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
        self.tell("kill");
    }

    /// Starts it again.
    pub(crate) fn restart(&self) {
        self.tell("start");
    }

    fn tell(&self, word: &str) {
        let mut keeper = self.keeper.as_ref().expect("not that of others").lock().unwrap();
        assert_eq!(keeper.tell(word), word);
    }
}

/// Where there is room for a server: in memory if there is plenty, since what is shown here by killing
/// processes needs no disk, and a busy one makes it slow.
fn room() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let free = Command::new("df").args(["--output=avail", "-k"]).arg(memory).output();
    let free = free.map(|free| String::from_utf8_lossy(&free.stdout).into_owned());
    let free = free.ok().and_then(|free| free.lines().last()?.trim().parse::<u64>().ok());
    if free.is_some_and(|free| free > 2_000_000) { memory.to_owned() } else { std::env::temp_dir() }
}

/// What keeps a server in a folder: as somebody else where we are root, whom it refuses.
fn keeper(programs: &Path, folder: &Path, shared: Option<&Path>) -> Command {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut keeper = Command::new("sh");
    keeper.args(["-c", KEEPER]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    keeper.env("PATH", format!("{}:{path}", programs.display())).env("FOLDER", folder);
    keeper.env("PORT", port.to_string()).env("SHARED", shared.unwrap_or(Path::new("")));
    // It outlives who started it, and is not ended with it.
    keeper.process_group(0);
    if folder.metadata().unwrap().uid() == 0 {
        chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
        keeper.uid(NOBODY).gid(NOBODY);
    }
    keeper
}

/// Says so where there is none.
#[expect(clippy::print_stdout, reason = "what is skipped is named")]
fn there(start: impl FnOnce() -> Option<Cluster>) -> Option<Cluster> {
    if programs().is_none() {
        println!("skipped: postgres: initdb is not installed");
        return None;
    }
    start()
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
        if let Some(keeper) = &mut self.keeper {
            let keeper = keeper.get_mut().unwrap();
            keeper.words = None;
            let _ = keeper.child.wait();
        }
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
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
        let folders = versions.flatten().map(|version| version.path().join("bin"));
        folders.filter(|folder| has(folder)).max()
    };
    in_path.or_else(debian)
}
