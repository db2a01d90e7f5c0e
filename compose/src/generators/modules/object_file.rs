//! Kernel modules as object files, compressed or not.

use std::borrow::Cow;
use std::io::Read as _;

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

/// Endings of module files.
const ENDINGS: [&str; 4] = [".ko", ".ko.gz", ".ko.xz", ".ko.zst"];

/// Whether `path` is that of a module.
pub(super) fn is_module(path: &str) -> bool {
    ENDINGS.iter().any(|ending| path.ends_with(ending))
}

/// What depmod wants to know of one module.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// `.modinfo`: keys and values in order.
    info: Vec<(String, String)>,
    /// Symbols it exports.
    pub(super) exported: Vec<String>,
    /// Symbols it needs, in the order of its symbol table.
    pub(super) needed: Vec<String>,
}

impl Facts {
    /// Reads the module in `file`, decompressed as its name says.
    pub(super) fn read(path: &str, file: &[u8]) -> Result<Self> {
        let content = decompressed(path, file)?;
        let module = object::File::parse(&*content).context("parsing it as an object file")?;
        let strings = |section: &str| -> Result<Vec<String>> {
            let Some(section) = module.section_by_name(section) else {
                return Ok(Vec::new());
            };
            let data = section.uncompressed_data().context("reading a section")?;
            let parts = data.split(|&byte| byte == 0).filter(|part| !part.is_empty());
            Ok(parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect())
        };
        let pairs = strings(".modinfo")?;
        let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
        let info = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut needed = Vec::new();
        for symbol in module
            .symbols()
            .filter(|symbol| symbol.is_undefined() && (symbol.is_global() || symbol.is_weak()))
        {
            let name = symbol.name().context("reading a symbol")?;
            if !name.is_empty() {
                needed.push(name.to_owned());
            }
        }
        // Each export of a kernel with symbol versions has its checksum; `__ksymtab_strings` holds namespaces too.
        let checksum = |symbol: object::Symbol<'_, '_>| Some(symbol.name().ok()?.strip_prefix("__crc_")?.to_owned());
        let mut exported: Vec<String> = module.symbols().filter_map(checksum).collect();
        if exported.is_empty() {
            exported = strings("__ksymtab_strings")?;
        }
        Ok(Self { info, exported, needed })
    }

    /// The values of a key of `.modinfo`, in order.
    pub(super) fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.info
            .iter()
            .filter(move |(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }
}

fn decompressed<'a>(path: &str, file: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let mut content = Vec::new();
    match path.rsplit('.').next() {
        Some("xz") => liblzma::read::XzDecoder::new(file).read_to_end(&mut content).map(drop),
        Some("gz") => flate2::read::GzDecoder::new(file).read_to_end(&mut content).map(drop),
        Some("zst") => zstd::stream::copy_decode(file, &mut content),
        _ => return Ok(Cow::Borrowed(file)),
    }
    .context("decompressing it")?;
    Ok(Cow::Owned(content))
}
