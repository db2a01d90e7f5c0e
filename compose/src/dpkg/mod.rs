//! What dpkg keeps under `/var/lib/dpkg`.

/// `diversions`: files of one package that stand aside for another's.
pub mod diversions;

/// `statoverride`: owners and modes that packages' files get instead of their own.
pub mod statoverrides;

/// `alternatives/`: which of several programs a generic name stands for.
pub mod alternatives;

/// `status`: a stanza for each package.
pub mod status;

/// `triggers/`: who waits for what.
pub mod triggers;

/// All of it as one, kept up to date.
pub mod database;
