//! gdk-pixbuf-query-loaders(1), which lists what images each loader of gdk-pixbuf reads.
//!
//! The real tool loads every loader and asks it. No code of another machine runs here: what the loaders of Debian say
//! is in a table, and the types and extensions in it must be in the loader. One that is unknown is left out, with a
//! note.

use std::fmt::Write as _;

use crate::commands::dpkg::stanza::installed;
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};

/// The tool is called by its path.
pub(crate) const COMMANDS: &[(&str, Command)] = &[("/usr/lib/*/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders", |process| {
    settle(process, query_loaders)
})];

/// The package whose version the list names.
const LIBRARY: &str = "libgdk-pixbuf-2.0-0";

/// What a loader says of itself (`GdkPixbufFormat`).
#[derive(Debug)]
struct Loader {
    file: &'static str,
    name: &'static str,
    /// `GdkPixbufFormatFlags`: 1 writes, 2 scales, 4 is safe in threads.
    flags: u32,
    description: &'static str,
    license: &'static str,
    types: &'static [&'static str],
    extensions: &'static [&'static str],
    /// How images begin, what is compared of that, and how sure it is; escaped as in the list.
    signatures: &'static [(&'static str, &'static str, u32)],
}

const LOADERS: &[Loader] = &[
    Loader {
        file: "libpixbufloader-ani.so",
        name: "ani",
        flags: 4,
        description: "Windows animated cursor",
        license: "LGPL",
        types: &["application/x-navi-animation"],
        extensions: &["ani"],
        signatures: &[("RIFF    ACON", "    xxxx    ", 100)],
    },
    Loader {
        file: "libpixbufloader-bmp.so",
        name: "bmp",
        flags: 5,
        description: "BMP",
        license: "LGPL",
        types: &["image/bmp", "image/x-bmp", "image/x-MS-bmp"],
        extensions: &["bmp"],
        signatures: &[("BM", "", 100)],
    },
    Loader {
        file: "libpixbufloader-gif.so",
        name: "gif",
        flags: 4,
        description: "GIF",
        license: "LGPL",
        types: &["image/gif"],
        extensions: &["gif"],
        signatures: &[("GIF8", "", 100)],
    },
    Loader {
        file: "libpixbufloader-icns.so",
        name: "icns",
        flags: 4,
        description: "MacOS X icon",
        license: "GPL",
        types: &["image/x-icns"],
        extensions: &["icns"],
        signatures: &[("icns", "", 100)],
    },
    Loader {
        file: "libpixbufloader-ico.so",
        name: "ico",
        flags: 5,
        description: "Windows icon",
        license: "LGPL",
        types: &[
            "image/x-icon",
            "image/x-ico",
            "image/x-win-bitmap",
            "image/vnd.microsoft.icon",
            "application/ico",
            "image/ico",
            "image/icon",
            "text/ico",
        ],
        extensions: &["ico", "cur"],
        signatures: &[("  \\001   ", "zz znz", 100), ("  \\002   ", "zz znz", 100)],
    },
    Loader {
        file: "libpixbufloader-pnm.so",
        name: "pnm",
        flags: 4,
        description: "PNM/PBM/PGM/PPM",
        license: "LGPL",
        types: &[
            "image/x-portable-anymap",
            "image/x-portable-bitmap",
            "image/x-portable-graymap",
            "image/x-portable-pixmap",
        ],
        extensions: &["pnm", "pbm", "pgm", "ppm"],
        signatures: &[
            ("P1", "", 100),
            ("P2", "", 100),
            ("P3", "", 100),
            ("P4", "", 100),
            ("P5", "", 100),
            ("P6", "", 100),
        ],
    },
    Loader {
        file: "libpixbufloader-qtif.so",
        name: "qtif",
        flags: 4,
        description: "QuickTime",
        license: "LGPL",
        types: &["image/x-quicktime", "image/qtif"],
        extensions: &["qtif", "qif"],
        signatures: &[("abcdidsc", "xxxx    ", 100), ("abcdidat", "xxxx    ", 100)],
    },
    Loader {
        file: "libpixbufloader-tga.so",
        name: "tga",
        flags: 4,
        description: "Targa",
        license: "LGPL",
        types: &["image/x-tga"],
        extensions: &["tga", "targa"],
        signatures: &[
            (" \\001\\001", "x  ", 100),
            (" \\001\\t", "x  ", 100),
            ("  \\002", "xz ", 99),
            ("  \\003", "xz ", 100),
            ("  \\n", "xz ", 100),
            ("  \\v", "xz ", 100),
        ],
    },
    Loader {
        file: "libpixbufloader-tiff.so",
        name: "tiff",
        flags: 5,
        description: "TIFF",
        license: "LGPL",
        types: &["image/tiff"],
        extensions: &["tiff", "tif"],
        signatures: &[
            ("MM *", "  z ", 100),
            ("II* ", "   z", 100),
            ("II* \\020   CR\\002 ", "   z zzz   z", 0),
        ],
    },
    Loader {
        file: "libpixbufloader-xbm.so",
        name: "xbm",
        flags: 4,
        description: "XBM",
        license: "LGPL",
        types: &["image/x-xbitmap"],
        extensions: &["xbm"],
        signatures: &[("#define ", "", 100), ("/*", "", 50)],
    },
    Loader {
        file: "libpixbufloader-xpm.so",
        name: "xpm",
        flags: 4,
        description: "XPM",
        license: "LGPL",
        types: &["image/x-xpixmap"],
        extensions: &["xpm"],
        signatures: &[("/* XPM */", "", 100)],
    },
    Loader {
        file: "libpixbufloader_svg.so",
        name: "svg",
        flags: 6,
        description: "Scalable Vector Graphics",
        license: "LGPL",
        types: &[
            "image/svg+xml",
            "image/svg",
            "image/svg-xml",
            "image/vnd.adobe.svg+xml",
            "text/xml-svg",
            "image/svg+xml-compressed",
        ],
        extensions: &["svg", "svgz", "svg.gz"],
        signatures: &[(" <svg", "*    ", 100), (" <!DOCTYPE svg", "*             ", 100)],
    },
];

/// Lists the loaders it is given.
fn query_loaders(process: &mut Process<'_>) -> Done {
    let paths = process.args[1..].to_vec();
    if paths.is_empty() || paths.iter().any(|path| path.starts_with('-')) {
        return Err(process
            .unsupported("gdk-pixbuf-query-loaders but with paths of loaders")
            .into());
    }
    let installed = installed(&process.system.tree).unwrap_or_default();
    let library = installed.iter().find(|stanza| stanza.get("Package") == LIBRARY);
    let version = library.map(|stanza| stanza.get("Version"));
    let version = version.ok_or_else(|| Ending::failed(format!("{LIBRARY} is not installed")))?;
    let upstream = version.split(['+', '-']).next().unwrap_or(version);
    let mut list = format!(
        "# GdkPixbuf Image Loader Modules file\n# Automatically generated file, do not edit\n\
         # Created by gdk-pixbuf-query-loaders from gdk-pixbuf-{upstream}\n#\n"
    );
    for path in paths {
        let file = path.rsplit('/').next().unwrap_or_default();
        let content = process.system.tree.read(&path).unwrap_or_default();
        match LOADERS.iter().find(|loader| loader.file == file && loader.agrees(&content)) {
            Some(loader) => loader.write(&path, &mut list),
            None => process.note(format!(
                "{path} is not in the list of image loaders: on the node `gdk-pixbuf-query-loaders --update-cache` puts \
                 it there"
            )),
        }
    }
    process.say(&list);
    Ok(0)
}

impl Loader {
    /// Whether a loader has the strings that it is known to give.
    fn agrees(&self, content: &[u8]) -> bool {
        let mut strings = self.types.iter().chain(self.extensions);
        strings.all(|string| memchr::memmem::find(content, string.as_bytes()).is_some())
    }

    fn write(&self, path: &str, list: &mut String) {
        let quoted = |words: &[&str]| {
            words
                .iter()
                .fold(String::new(), |line, word| line + "\"" + word + "\" ")
        };
        let types = quoted(self.types);
        let extensions = quoted(self.extensions);
        write!(
            list,
            "\"{path}\"\n\"{}\" {} \"gdk-pixbuf\" \"{}\" \"{}\"\n{types}\"\"\n{extensions}\"\"\n",
            self.name, self.flags, self.description, self.license
        )
        .expect("a string takes all");
        for (prefix, mask, relevance) in self.signatures {
            writeln!(list, "\"{prefix}\" \"{mask}\" {relevance}").expect("a string takes all");
        }
        list.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::lookup;
    use crate::system::System;

    #[test]
    fn loaders_are_listed_in_the_tool_s_form() {
        let mut system = System::new("arm64", 0);
        let directory = "/usr/lib/aarch64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders";
        system.tree.mkdir_all(directory, 0o755).unwrap();
        system.tree.mkdir_all("/var/lib/dpkg", 0o755).unwrap();
        let status = "Package: libgdk-pixbuf-2.0-0\nStatus: install ok installed\nVersion: 2.42.12+dfsg-4\n";
        system.tree.write("/var/lib/dpkg/status", status, 0o644).unwrap();
        let paths = ["gif", "tiff", "other"].map(|name| format!("{directory}/libpixbufloader-{name}.so"));
        for (path, content) in paths.iter().zip(["image/gif\0", "image/png\0", ""]) {
            system.tree.write(path, content, 0o644).unwrap();
        }
        let tool = "/usr/lib/aarch64-linux-gnu/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders";
        let args: Vec<&str> = [tool].into_iter().chain(paths.iter().map(String::as_str)).collect();
        let mut process = Process::new(&mut system, &args);
        assert_eq!(lookup(tool).unwrap()(&mut process), Ok(0));
        let expected = format!(
            "# GdkPixbuf Image Loader Modules file\n# Automatically generated file, do not edit\n\
             # Created by gdk-pixbuf-query-loaders from gdk-pixbuf-2.42.12\n#\n\"{}\"\n\
             \"gif\" 4 \"gdk-pixbuf\" \"GIF\" \"LGPL\"\n\"image/gif\" \"\"\n\"gif\" \"\"\n\"GIF8\" \"\" 100\n\n\n",
            paths[0]
        );
        assert_eq!(String::from_utf8(process.stdout.clone()).unwrap(), expected);
        assert_eq!(system.notes.len(), 2);
    }
}
