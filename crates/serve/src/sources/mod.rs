//! The sources that are configured: made ready, each with its secrets, found by name or by the path of an address, and
//! served.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use musubi_channels::{Kept, PRESETS, Secret, Secrets, Settings, Source};

mod confirm;
mod cors;
mod door;
mod error;
mod gate;
mod pull;
pub(crate) mod write;

pub(crate) use door::Door;
pub use error::SourceError;
use gate::Gate;
pub(crate) use pull::Pulls;

/// What stands before the name of a source that says no path of its own.
const PREFIX: &str = "/in/";
/// What this process serves itself; a source there would never be reached.
const OURS: [&str; 3] = ["/v1/", "/healthz", "/metrics"];

/// Makes one source ready: fetches its secrets from where they are kept and reads its mapping.
///
/// # Errors
/// [`SourceError`], with the name of the source.
pub fn open_source(settings: Settings) -> Result<Source, SourceError> {
    let secret = |key, kept: &Kept| fetch(&settings.name, key, kept);
    let secrets = Secrets {
        key: settings.key.as_ref().map(|kept| secret("key", kept)).transpose()?,
        signing: settings.secret.iter().map(|kept| secret("secret", kept)).collect::<Result<_, _>>()?,
    };
    let mapping = settings.mapping.as_deref().map(|path| read_mapping(&settings.name, path)).transpose()?;
    Ok(Source::new(settings, mapping.as_deref(), secrets)?)
}

fn fetch(source: &str, key: &'static str, kept: &Kept) -> Result<Secret, SourceError> {
    let lacking = |place: String, why: String| SourceError::Secret { source_name: source.to_owned(), key, place, why };
    let (place, found) = match kept {
        Kept::Env(name) => (format!("the variable `{name}`"), std::env::var(name).map_err(|why| why.to_string())),
        Kept::File(path) => {
            let read = std::fs::read_to_string(path).map_err(|why| why.to_string());
            (format!("the file `{}`", path.display()), read)
        }
    };
    match found.map(|text| Secret::new(&text)) {
        Ok(secret) if secret.is_empty() => Err(lacking(place, "found nothing".into())),
        Ok(secret) => Ok(secret),
        Err(why) => Err(lacking(place, why)),
    }
}

/// The text of a mapping.
///
/// # Errors
/// [`SourceError::Mapping`].
fn read_mapping(source: &str, path: &Path) -> Result<String, SourceError> {
    std::fs::read_to_string(path).map_err(|why| SourceError::Mapping {
        source_name: source.to_owned(),
        path: path.to_owned(),
        why,
    })
}

/// A source behind a door.
pub(crate) struct Mount {
    /// The path of its address, without a slash at its end.
    pub(crate) path: String,
    pub(crate) source: Source,
    gate: Gate,
}

impl Mount {
    pub(crate) fn name(&self) -> &str {
        &self.source.settings().name
    }
}

/// The sources of one process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Sources {
    /// Longest path first, so that the first that fits is the closest.
    mounts: Arc<[Arc<Mount>]>,
}

impl Sources {
    /// Makes all sources ready.
    ///
    /// # Errors
    /// [`SourceError`] of the first that cannot be, and where two have one name or one path.
    pub fn open(settings: impl IntoIterator<Item = Settings>) -> Result<Self, SourceError> {
        let (mut names, mut paths) = (BTreeMap::new(), BTreeMap::new());
        let mut mounts = Vec::new();
        for settings in settings {
            let path = path_of(&settings)?;
            let name = settings.name.clone();
            claim(&mut names, "name", name.clone(), &name)?;
            claim(&mut paths, "path", path.clone(), &name)?;
            let gate = Gate::new(settings.rate_limit);
            mounts.push(Arc::new(Mount { path, source: open_source(settings)?, gate }));
        }
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.path.len()));
        Ok(Self { mounts: mounts.into() })
    }

    /// A source for each preset that is fed over HTTP, open to everybody: for a first try on one's own machine.
    ///
    /// # Errors
    /// None in practice: presets stand.
    pub fn to_try() -> Result<Self, SourceError> {
        const FROM_FILES: [&str; 2] = ["csv", "debezium"];
        let names = PRESETS.iter().map(|preset| preset.name).filter(|name| !FROM_FILES.contains(name));
        Self::open(names.chain(["rudderstack"]).map(open_settings))
    }

    /// The source of that name.
    pub fn get(&self, name: &str) -> Option<&Source> {
        self.mounts.iter().map(|mount| &mount.source).find(|source| source.settings().name == name)
    }

    /// Every source with the path of its address.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.mounts.iter().map(|mount| (mount.path.as_str(), &mount.source))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.mounts.is_empty()
    }

    /// Whose address a path begins with, and what stands behind it.
    pub(crate) fn at<'a>(&self, path: &'a str) -> Option<(&Arc<Mount>, &'a str)> {
        self.mounts.iter().find_map(|mount| {
            let rest = path.strip_prefix(mount.path.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some((mount, rest))
        })
    }
}

/// The settings of an open source of a preset, named after it.
pub fn open_settings(preset: &str) -> Settings {
    let settings = serde_json::json!({ "name": preset, "preset": preset, "open": true });
    serde_json::from_value(settings).expect("a name and a preset are settings")
}

fn claim(
    taken: &mut BTreeMap<String, String>,
    what: &'static str,
    value: String,
    source: &str,
) -> Result<(), SourceError> {
    match taken.insert(value.clone(), source.to_owned()) {
        None => Ok(()),
        Some(first) => Err(SourceError::Twice { first, second: source.to_owned(), what, found: value }),
    }
}

/// The path of a source's address, without a slash at its end; `/` becomes nothing.
fn path_of(settings: &Settings) -> Result<String, SourceError> {
    let wrong =
        |wanted, found: &str| SourceError::Path { source_name: settings.name.clone(), wanted, found: found.to_owned() };
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b));
    let Some(path) = settings.path.as_deref() else {
        let name = settings.name.as_str();
        let plain = is_plain(name) && !name.contains('/');
        let wanted = "a path, because the name has other characters than letters, digits, `-`, `.`, `_` and `~`";
        return if plain { Ok(format!("{PREFIX}{name}")) } else { Err(wrong(wanted, name)) };
    };
    if !path.starts_with('/') || !is_plain(path) || path.contains("//") {
        return Err(wrong("`/` and then letters, digits, `-`, `.`, `_`, `~` and `/`", path));
    }
    let path = path.trim_end_matches('/');
    if OURS.iter().any(|ours| format!("{path}/").starts_with(ours) || path == *ours) {
        return Err(wrong("a path beside `/v1`, `/healthz` and `/metrics`, which are Musubi's", path));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn settings(name: &str, path: Option<&str>) -> Settings {
        Settings { path: path.map(str::to_owned), ..open_settings("webhook") }.named(name)
    }

    trait Named {
        fn named(self, name: &str) -> Self;
    }

    impl Named for Settings {
        fn named(self, name: &str) -> Self {
            Self { name: name.to_owned(), ..self }
        }
    }

    #[test]
    fn the_closest_address_takes_a_path() {
        let all = [("root", Some("/")), ("shop", Some("/shop/")), ("till", Some("/shop/till")), ("desk", None)];
        let sources = Sources::open(all.map(|(name, path)| settings(name, path))).expect("sources");
        let at = |path: &'static str| sources.at(path).map(|(mount, rest)| (mount.name().to_owned(), rest));
        assert_eq!(at("/shop/till/v1/t"), Some(("till".into(), "/v1/t")));
        assert_eq!(at("/shop"), Some(("shop".into(), "")));
        assert_eq!(at("/shopping"), Some(("root".into(), "/shopping")));
        assert_eq!(at("/in/desk/"), Some(("desk".into(), "/")));
        assert!(sources.get("till").is_some() && sources.get("nobody").is_none());
    }

    #[test]
    fn what_cannot_be_served_is_named() {
        let error = |all: Vec<Settings>| Sources::open(all).err().expect("an error").to_string();
        assert!(error(vec![settings("a", None), settings("a", Some("/b"))]).contains("another name"));
        assert!(error(vec![settings("a", Some("/x")), settings("b", Some("/x/"))]).contains("another path"));
        for path in ["x", "/v1", "/v1/touchpoints", "/metrics", "/a?b", "//a"] {
            assert!(error(vec![settings("a", Some(path))]).contains("`path`"), "{path}");
        }
        assert!(error(vec![settings("店", None)]).contains("because the name"));
    }

    #[test]
    fn a_secret_is_fetched_and_never_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("secret");
        let signed =
            |place: PathBuf| Settings { secret: vec![Kept::File(place)], open: false, ..open_settings("line") };
        let missing = open_source(signed(file.clone())).err().expect("no file").to_string();
        assert!(missing.contains("source `line`") && missing.contains("`secret`"), "{missing}");
        std::fs::write(&file, " \n").expect("written");
        assert!(open_source(signed(file.clone())).err().expect("empty").to_string().contains("found nothing"));
        std::fs::write(&file, "hush\n").expect("written");
        let source = open_source(signed(file)).expect("a source");
        assert!(!format!("{:?}", source.settings()).contains("hush"));
    }

    #[test]
    fn every_preset_can_be_tried() {
        let sources = Sources::to_try().expect("sources");
        assert!(sources.get("segment").is_some() && sources.get("csv").is_none());
        assert_eq!(sources.at("/in/posthog/batch/").map(|(_, rest)| rest), Some("/batch/"));
    }
}
