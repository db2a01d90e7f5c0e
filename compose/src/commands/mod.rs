//! Every command a maintainer script can call, one file per family, one visible table.
