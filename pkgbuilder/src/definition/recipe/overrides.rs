//! `overrides.deb` laid over a recipe, as nfpm does it: what is said replaces what was said, lists as a whole, scripts
//! one by one, fields by their names.

use super::{Deb, DebScripts, Overridables, Recipe, Scripts, Signature, Triggers};

/// Replaces a value that says something.
trait Lay {
    fn lay(&mut self, over: Self);
}

impl Lay for String {
    fn lay(&mut self, over: Self) {
        if !over.is_empty() {
            *self = over;
        }
    }
}

impl<T> Lay for Vec<T> {
    fn lay(&mut self, over: Self) {
        if !over.is_empty() {
            *self = over;
        }
    }
}

impl<T> Lay for Option<T> {
    fn lay(&mut self, over: Self) {
        if over.is_some() {
            *self = over;
        }
    }
}

/// Lays each field over its own.
macro_rules! field_by_field {
    ($type:ident: $($field:ident),*) => {
        impl Lay for $type {
            fn lay(&mut self, over: Self) {
                $(self.$field.lay(over.$field);)*
            }
        }
    };
}

field_by_field!(Scripts: preinstall, postinstall, preremove, postremove);
field_by_field!(DebScripts: rules, templates, config);
field_by_field!(Triggers: interest, interest_await, interest_noawait, activate, activate_await, activate_noawait);
field_by_field!(Signature: key_file, key_id, method, kind, signer);

impl Lay for Deb {
    fn lay(&mut self, over: Self) {
        self.arch.lay(over.arch);
        self.arch_variant.lay(over.arch_variant);
        self.scripts.lay(over.scripts);
        self.triggers.lay(over.triggers);
        self.breaks.lay(over.breaks);
        self.predepends.lay(over.predepends);
        self.signature.lay(over.signature);
        self.compression.lay(over.compression);
        self.fields.extend(over.fields);
    }
}

impl Recipe {
    /// The recipe as it is for a .deb: `overrides.deb` laid over it, contents of other packagers gone.
    #[must_use]
    pub fn for_deb(mut self) -> Self {
        if let Some(over) = std::mem::take(&mut self.overrides).deb {
            let Overridables {
                umask,
                contents,
                scripts,
                depends,
                recommends,
                suggests,
                conflicts,
                replaces,
                provides,
                deb,
                ..
            } = over;
            self.umask.lay(umask);
            self.contents.lay(contents);
            self.scripts.lay(scripts);
            self.depends.lay(depends);
            self.recommends.lay(recommends);
            self.suggests.lay(suggests);
            self.conflicts.lay(conflicts);
            self.replaces.lay(replaces);
            self.provides.lay(provides);
            self.deb.lay(deb);
        }
        self.contents.retain(super::Content::is_for_deb);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_replaced_scripts_and_fields_merged() {
        let recipe: Recipe = serde_json::from_value(serde_json::json!({
            "depends": ["a", "b"],
            "suggests": ["s"],
            "scripts": { "preinstall": "x", "postinstall": "y" },
            "deb": { "fields": { "Bugs": "1", "Origin": "2" } },
            "rpm": { "anything": [1, { "at": "all" }] },
            "contents": [{ "dst": "/a", "packager": "rpm" }, { "dst": "/b" }, { "dst": "/c", "type": "ghost" }],
            "overrides": {
                "deb": { "depends": ["c"], "scripts": { "postinstall": "z" }, "deb": { "fields": { "Bugs": "3" } } },
                "apk": { "depends": ["d"] },
            },
        }))
        .unwrap();
        let recipe = recipe.for_deb();
        assert_eq!(recipe.depends, ["c"]);
        assert_eq!(recipe.suggests, ["s"]);
        assert_eq!(
            (recipe.scripts.preinstall, recipe.scripts.postinstall),
            ("x".to_owned(), "z".to_owned())
        );
        assert_eq!(recipe.deb.fields["Bugs"], "3");
        assert_eq!(recipe.deb.fields["Origin"], "2");
        let left: Vec<&str> = recipe.contents.iter().map(|content| content.dst.as_str()).collect();
        assert_eq!(left, ["/b"]);
    }
}
