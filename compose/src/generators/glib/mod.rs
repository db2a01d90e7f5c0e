//! What GLib compiles at the end of an installation: schemas of settings, and the list of GIO's modules.

/// The list of GIO's modules.
mod gio_modules;

/// Values in a file that is mapped into memory.
mod gvdb;

/// The order of GLib's hash tables.
pub(super) mod hash_table;

/// What a key of a schema is.
mod key;

/// Settings files in groups, by which defaults are overridden.
mod key_file;

/// A file of schemas.
mod schema_file;

/// The schemas of settings.
mod schemas;

/// Strings with numbers, as GSettings looks them up.
mod string_info;

/// GVariant.
mod variant;

/// GVariant whose type is to be guessed.
mod variant_guess;

/// GVariant as text.
mod variant_text;

pub(super) use gio_modules::generate as gio_modules;
pub(super) use schemas::generate as schemas;
