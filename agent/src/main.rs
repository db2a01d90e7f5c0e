//! `computatom-agent`: gives a board its name, its roles and its configuration.

fn main() {}
