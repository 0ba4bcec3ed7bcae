//! Weights by their name on the Hugging Face Hub, kept where Python's `huggingface_hub` keeps them, so that what one has fetched the other finds.

use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use dozen_nn::Error;
use dozen_run::NewFile;
use ureq::Agent;

/// Where weights are fetched from and kept.
#[derive(Clone, Debug)]
pub struct Hub {
    endpoint: String,
    cache: PathBuf,
    offline: bool,
}

/// The files of a model as they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The weights.
    pub weights: PathBuf,
    /// What timm says of the model: its architecture and its preprocessing.
    pub config: Option<PathBuf>,
}

/// More bytes than this no file of weights may have.
const LARGEST: u64 = 1 << 33;

impl Hub {
    /// As the environment has it: `HF_ENDPOINT`, `HF_HUB_CACHE` or `HF_HOME`, `HF_HUB_OFFLINE`.
    pub fn from_environment() -> Self {
        let given = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let home = given("HF_HOME").map_or_else(
            || PathBuf::from(given("HOME").unwrap_or_else(|| ".".into())).join(".cache/huggingface"),
            PathBuf::from,
        );
        Self {
            endpoint: given("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into()),
            cache: given("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from),
            offline: given("HF_HUB_OFFLINE").is_some_and(|value| value != "0"),
        }
    }

    /// The files of the model `owner/name`: from the cache, or else fetched into it.
    ///
    /// # Errors
    /// When the name is no such name, or the files are in neither place.
    pub fn snapshot(&self, model: &str) -> Result<Snapshot, Error> {
        let is_part = |part: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            !part.is_empty() && !part.starts_with('.') && part.chars().all(known)
        };
        match model.split('/').collect::<Vec<_>>()[..] {
            [owner, name] if is_part(owner) && is_part(name) => {}
            _ => {
                return Err(Error::Request(format!(
                    "`{model}` is no model of the Hub; they are named OWNER/NAME, as in timm/efficientnet_b0.ra_in1k"
                )));
            }
        }
        let folder = self.cache.join(format!("models--{}", model.replace('/', "--")));
        if let Some(found) = kept(&folder) {
            return Ok(found);
        }
        if self.offline {
            return Err(Error::Request(format!(
                "`{model}` is not in {}, and HF_HUB_OFFLINE forbids to fetch it",
                self.cache.display()
            )));
        }
        self.fetch(model, &folder)
    }

    fn fetch(&self, model: &str, folder: &Path) -> Result<Snapshot, Error> {
        let agent: Agent =
            Agent::config_builder().max_redirects(0).http_status_as_error(false).build().into();
        let said = |problem: String| {
            Error::Request(format!(
                "cannot fetch `{model}` from {}: {problem}; give a file of weights that you have instead",
                self.endpoint
            ))
        };
        let url = |file: &str| format!("{}/{model}/resolve/main/{file}", self.endpoint);
        let (revision, weights) = get(&agent, &url("model.safetensors")).map_err(said)?;
        let snapshot = folder.join("snapshots").join(&revision);
        let keep = |name: &str, mut stream: Box<dyn Read>| {
            let path = snapshot.join(name);
            let failed = |source| Error::Io { action: "write", path: path.clone(), source };
            fs::create_dir_all(&snapshot).map_err(failed)?;
            let mut file = NewFile::create(&path).map_err(failed)?;
            std::io::copy(&mut stream, &mut file).and_then(|_| file.commit()).map_err(failed)?;
            Ok::<PathBuf, Error>(path)
        };
        let weights = keep("model.safetensors", weights)?;
        let config = match get(&agent, &url("config.json")) {
            Ok((_, stream)) => Some(keep("config.json", stream)?),
            Err(_) => None,
        };
        let refs = folder.join("refs");
        let failed = |source| Error::Io { action: "write", path: refs.join("main"), source };
        fs::create_dir_all(&refs).map_err(failed)?;
        dozen_run::write_file(&refs.join("main"), revision).map_err(failed)?;
        Ok(Snapshot { weights, config })
    }
}

/// What an earlier call, or Python, has left.
fn kept(folder: &Path) -> Option<Snapshot> {
    let revision = fs::read_to_string(folder.join("refs/main")).ok()?;
    let snapshot = folder.join("snapshots").join(revision.trim());
    let there = |name: &str| Some(snapshot.join(name)).filter(|path| path.is_file());
    let weights = there("model.safetensors").or_else(|| there("pytorch_model.bin"))?;
    Some(Snapshot { weights, config: there("config.json") })
}

/// The revision and the bytes of a file, one redirection on.
fn get(agent: &Agent, url: &str) -> Result<(String, Box<dyn Read>), String> {
    let call = |url: &str| agent.get(url).call().map_err(|error| error.to_string());
    let mut response = call(url)?;
    let header = |response: &ureq::http::Response<ureq::Body>, name: &str| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let revision = header(&response, "x-repo-commit").unwrap_or_else(|| "main".into());
    let plain = !revision.is_empty() && revision.chars().all(|c| c.is_ascii_alphanumeric());
    if !plain {
        return Err("it names a revision that is none".into());
    }
    for _ in 0..5 {
        if !response.status().is_redirection() {
            break;
        }
        let to = header(&response, "location").ok_or("it points to nowhere")?;
        let base = url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split('/').next()?)));
        let to = match (to.strip_prefix('/'), base) {
            (Some(path), Some((scheme, host))) => format!("{scheme}://{host}/{path}"),
            _ => to,
        };
        response = call(&to)?;
    }
    if !response.status().is_success() {
        return Err(format!("it answers {}", response.status()));
    }
    Ok((revision, Box::new(response.into_body().into_with_config().limit(LARGEST).reader())))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// A server that sends to another place, as the Hub does, and then gives the file.
    fn serve(requests: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for _ in 0..requests {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = vec![0; 4096];
                let length = stream.read(&mut asked).unwrap();
                let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
                let answer = if asked.starts_with("GET /timm/b0/resolve/main/model.safetensors ") {
                    "HTTP/1.1 302 Found\r\nX-Repo-Commit: abc123\r\nLocation: /blob\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                } else if asked.starts_with("GET /blob ") {
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
                } else {
                    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                };
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    #[test]
    fn what_is_fetched_once_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut hub = Hub { endpoint: serve(3), cache: folder.path().to_owned(), offline: false };
        let first = hub.snapshot("timm/b0").unwrap();
        assert_eq!(fs::read(&first.weights).unwrap(), b"hello");
        assert!(first.weights.ends_with("models--timm--b0/snapshots/abc123/model.safetensors"));
        assert_eq!(first.config, None);
        // The server is gone by now.
        hub.offline = true;
        assert_eq!(hub.snapshot("timm/b0").unwrap(), first);
        assert!(hub.snapshot("timm/b1").unwrap_err().to_string().contains("HF_HUB_OFFLINE"));
    }

    #[test]
    fn names_and_answers_that_are_none_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub { endpoint: serve(1), cache: folder.path().to_owned(), offline: false };
        for name in ["b0", "../b0", "timm/../b0", "a/b/c", "timm/"] {
            assert!(hub.snapshot(name).unwrap_err().to_string().contains("OWNER/NAME"), "{name}");
        }
        let error = hub.snapshot("timm/none").unwrap_err().to_string();
        assert!(error.contains("404") && error.contains("give a file"), "{error}");
    }
}
