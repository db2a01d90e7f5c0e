//! What runs on a node: identity, roles, rendered configuration, status, and `/init`.
