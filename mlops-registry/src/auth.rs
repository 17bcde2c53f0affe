//! Tells from a request's credentials which user of the record it is.

use crate::store::{SqlStore, principals};
use base64::{Engine, prelude::BASE64_STANDARD};
use mlops_core::{
    Digest, Error, ErrorKind, Principal, Result, auth::Authenticator, digest::Hasher,
};
use std::{
    collections::HashMap,
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// How users are recognised.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UserConfig {
    /// How long credentials that were right are taken as right without looking again: who is removed
    /// stays for so long at most. 15 s.
    pub remember: Duration,
    /// How many credentials are remembered. 4096.
    pub most_remembered: usize,
    /// How many passwords are checked at the same time; each takes a processor and 19 MiB. 2.
    pub checks: usize,
    /// How many more wait for their check; others are `Overloaded`. 64.
    pub waiting: usize,
}

impl Default for UserConfig {
    fn default() -> Self {
        let remember = Duration::from_secs(15);
        Self { remember, most_remembered: 4096, checks: 2, waiting: 64 }
    }
}

impl UserConfig {
    /// Sets how long right credentials are remembered.
    #[must_use]
    pub fn with_remember(mut self, time: Duration) -> Self {
        self.remember = time;
        self
    }

    /// Sets how many passwords are checked at the same time.
    #[must_use]
    pub fn with_checks(mut self, checks: usize) -> Self {
        self.checks = checks;
        self
    }
}

/// Recognises the users of a record, by name and password (`Basic`) or by token (`Bearer`).
///
/// Waits for the record, and for as long as checking a password takes: call it where waiting harms nobody.
/// Neither its errors nor its `Debug` show a credential. Unknown users take as long as known ones.
pub struct UserAuthenticator {
    store: SqlStore,
    config: UserConfig,
    /// Makes what is remembered useless to anybody who could read it.
    key: [u8; 32],
    remembered: Mutex<HashMap<Digest, Remembered>>,
    checks: Semaphore,
    waiting: AtomicUsize,
    /// What the passwords of those are compared with who are not there.
    nobody: OnceLock<String>,
}

struct Remembered {
    principal: Principal,
    until: Instant,
}

impl UserAuthenticator {
    /// Recognises the users of this record.
    pub fn new(store: SqlStore, config: UserConfig) -> Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|cause| {
            Error::unavailable("this machine gives no random numbers").with_source(cause)
        })?;
        let checks = Semaphore::new(config.checks.max(1));
        let (remembered, waiting, nobody) =
            (Mutex::default(), AtomicUsize::new(0), OnceLock::new());
        Ok(Self { store, config, key, remembered, checks, waiting, nobody })
    }

    fn look_up(&self, authorization: &str) -> Result<Principal> {
        let (scheme, rest) = authorization.split_once(' ').ok_or_else(unauthenticated)?;
        let found = if scheme.eq_ignore_ascii_case("bearer") {
            wait(self.store.of_token(rest.trim()))?
        } else if scheme.eq_ignore_ascii_case("basic") {
            let bytes = BASE64_STANDARD.decode(rest.trim()).map_err(|_| unauthenticated())?;
            let text = String::from_utf8(bytes).map_err(|_| unauthenticated())?;
            let (name, password) = text.split_once(':').ok_or_else(unauthenticated)?;
            self.check(name, password)?
        } else {
            None
        };
        found.ok_or_else(unauthenticated)
    }

    fn check(&self, name: &str, password: &str) -> Result<Option<Principal>> {
        let line = self.waiting.fetch_add(1, Ordering::Relaxed);
        let outcome = if line >= self.config.waiting + self.config.checks {
            Err(Error::new(ErrorKind::Overloaded, "too many passwords wait to be checked"))
        } else {
            wait(self.check_in_turn(name, password))
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        outcome
    }

    async fn check_in_turn(&self, name: &str, password: &str) -> Result<Option<Principal>> {
        let turn = self.checks.acquire().await;
        let _turn = turn.map_err(|_| Error::internal("checks of passwords never end"))?;
        let found = self.store.of_name(name).await?;
        // Somebody without a password takes as long, too.
        let found = found.filter(|(_, secret)| secret.starts_with("$argon2"));
        if let Some((principal, secret)) = found {
            return Ok(principals::fits(password, &secret).then_some(principal));
        }
        principals::fits(password, self.nobody()?);
        Ok(None)
    }

    fn nobody(&self) -> Result<&str> {
        if self.nobody.get().is_none() {
            let hash = principals::hash("the password of nobody")?;
            // Whoever was faster made one as good.
            let _ = self.nobody.set(hash);
        }
        self.nobody.get().map(String::as_str).ok_or_else(|| Error::internal("a hash was just made"))
    }

    /// What credentials are remembered by.
    fn trace(&self, authorization: &str) -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(self.key);
        hasher.update(authorization);
        hasher.finish()
    }

    fn remember(&self, trace: Digest, principal: &Principal) {
        let now = Instant::now();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= self.config.most_remembered {
            remembered.retain(|_, one| one.until > now);
        }
        if remembered.len() < self.config.most_remembered {
            let until = now + self.config.remember;
            remembered.insert(trace, Remembered { principal: principal.clone(), until });
        }
    }
}

impl Authenticator for UserAuthenticator {
    fn authenticate(&self, authorization: Option<&str>) -> Result<Principal> {
        let authorization = authorization.ok_or_else(unauthenticated)?;
        let trace = self.trace(authorization);
        {
            let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(one) = remembered.get(&trace).filter(|one| one.until > Instant::now()) {
                return Ok(one.principal.clone());
            }
        }
        let principal = self.look_up(authorization)?;
        self.remember(trace, &principal);
        Ok(principal)
    }
}

impl fmt::Debug for UserAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserAuthenticator").field("config", &self.config).finish_non_exhaustive()
    }
}

/// One text for every reason: who guesses learns nothing.
fn unauthenticated() -> Error {
    let text = "give the name and password of a user of this record, or a token";
    Error::new(ErrorKind::Unauthenticated, text)
}

/// Waits on this thread for what the store's own thread does.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
