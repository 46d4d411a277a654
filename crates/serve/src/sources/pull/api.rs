//! What a puller asks of an API: what a notification names, one thing of it, and all that changed in a stretch of time.

use jiff::Timestamp;
use musubi_channels::{Pull, Settings};
use serde_json::Value;

use super::client::{Client, Failure};
use super::smaregi::Smaregi;

/// Something that a notification names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// On which list of the API it stands.
    pub(super) list: &'static str,
    /// The API's name of it: letters and digits.
    pub(super) id: String,
}

/// A stretch of time, with both its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// What takes items, as the mapping of the preset has them.
pub(super) type Take<'a> = dyn FnMut(&[Value]) -> Result<(), Failure> + 'a;

/// An API that can be pulled from. Its items go through the mapping of its preset.
pub(super) trait Api: Send {
    /// What a token has to allow.
    fn scope(&self) -> &'static str;

    /// What a notification names; nothing, where it is none.
    fn named(&self, notification: &Value) -> Vec<Named>;

    /// The items that one name means; none, where it is gone.
    ///
    /// # Errors
    /// [`Failure`], after it was tried again.
    fn one(&mut self, client: &mut Client, list: &'static str, id: &str) -> Result<Vec<Value>, Failure>;

    /// Gives away all that changed in a window, page by page.
    ///
    /// # Errors
    /// [`Failure`] of the API, after it was tried again, or of `take`.
    fn changed(&mut self, client: &mut Client, window: Window, take: &mut Take<'_>) -> Result<(), Failure>;
}

/// The API of a source's sender, where we know one.
pub(super) fn of(settings: &Settings, pull: &Pull) -> Option<Box<dyn Api>> {
    match settings.preset.as_deref() {
        Some("smaregi") => Some(Box::new(Smaregi::new(pull))),
        Some(_) | None => None,
    }
}
