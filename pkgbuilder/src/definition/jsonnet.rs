//! Jsonnet evaluated in process, without the host: imports come from two folders only, there are no external
//! variables and no native functions, so the same files always give the same JSON.

mod message;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rsjsonnet_lang::arena::Arena;
use rsjsonnet_lang::interner::InternedStr;
use rsjsonnet_lang::program::{
    Callbacks, EvalError, EvalErrorKind, EvalStackTraceItem, ImportError, LoadError, NativeError, Program, Thunk, Value,
};
use rsjsonnet_lang::span::{SourceId, SpanContext, SpanId};

use super::sources::{Place, SourceFile, Sources};
use crate::failure::InputError;

/// Calls and nested values an evaluation may hold open: deep enough for any definition, an error long before
/// memory is.
const MAX_STACK: usize = 400;

/// The parser recurses once per bracket; this is room for some hundred thousand of them.
const PARSER_STACK: usize = 256 << 20;

/// An evaluated file and what it was evaluated from.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The value.
    pub value: serde_json::Value,
    /// The files read, the evaluated one first.
    pub sources: Sources,
}

/// Evaluates the Jsonnet file `path`, whose imports resolve beside the importing file or in `folders`, inside `folders` and
/// nowhere else. `root` shortens the paths that messages show.
pub fn evaluate(path: &Path, folders: &[PathBuf], root: &Path) -> Result<Evaluated> {
    evaluate_over(path, folders, root, None)
}

/// As [`evaluate`], of what the function `overlay` (Jsonnet text) makes of the value.
pub fn evaluate_over(path: &Path, folders: &[PathBuf], root: &Path, overlay: Option<&str>) -> Result<Evaluated> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("jsonnet".to_owned())
            .stack_size(PARSER_STACK)
            .spawn_scoped(scope, || evaluate_here(path, folders, root, overlay))
            .context("starting the Jsonnet evaluator")?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn evaluate_here(path: &Path, folders: &[PathBuf], root: &Path, overlay: Option<&str>) -> Result<Evaluated> {
    let arena = Arena::new();
    let mut program = Program::new(&arena);
    program.set_max_stack(MAX_STACK);
    let mut loader = Loader {
        folders: folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect(),
        root: root.to_owned(),
        sources: Sources::default(),
        loaded: Vec::new(),
        failure: None,
    };
    let path = path
        .canonicalize()
        .with_context(|| format!("opening {}", path.display()))?;
    let thunk = match loader.load(&mut program, &path) {
        Ok(thunk) => thunk,
        Err(failure) => return Err(failure.into_error(&loader.sources)),
    };
    let function = match overlay {
        Some(text) => {
            let (context, _) = program.span_manager_mut().insert_source_context(text.len());
            let function = program.load_source(context, text.as_bytes(), true, "versions");
            Some(function.map_err(|error| loader.describe_load(&program, &error).into_error(&loader.sources))?)
        }
        None => None,
    };
    let value = match &function {
        Some(function) => program.eval_call(function, &[thunk], &[], &mut loader),
        None => program.eval_value(&thunk, &mut loader),
    };
    let json = value
        .and_then(|value| program.manifest_json(&value, false))
        .map_err(|error| loader.describe(&program, &error).into_error(&loader.sources))?;
    Ok(Evaluated {
        value: serde_json::from_str(&json).context("reading the evaluated definition")?,
        sources: loader.sources,
    })
}

/// Why an evaluation stopped.
#[derive(Debug)]
struct Failure {
    /// One sentence.
    text: String,
    /// Where, when it is a place in a file of ours.
    place: Option<Place>,
    /// The chain from the definition to the place, innermost first.
    through: Vec<Place>,
}

impl Failure {
    fn into_error(self, sources: &Sources) -> anyhow::Error {
        let Some(place) = self.place else {
            let file = sources
                .files()
                .first()
                .map_or("the definition", |file| file.shown.as_str());
            return anyhow::Error::new(InputError(format!("{file}: {}", self.text)));
        };
        let mut text = format!("{}: {}\n{}", sources.position(place), self.text, sources.excerpt(place));
        for through in self.through {
            text.push_str("\n  from ");
            text.push_str(&sources.position(through));
        }
        anyhow::Error::new(InputError(text))
    }
}

/// Reads the files of one evaluation.
struct Loader<'p> {
    folders: Vec<PathBuf>,
    root: PathBuf,
    sources: Sources,
    /// By index of the source file: the evaluator's name of it, and its value.
    loaded: Vec<(SourceId, Option<Thunk<'p>>)>,
    /// What went wrong inside an import: the evaluator itself only learns that something did.
    failure: Option<Failure>,
}

impl<'p> Loader<'p> {
    fn load(&mut self, program: &mut Program<'p>, path: &Path) -> Result<Thunk<'p>, Failure> {
        if let Some(index) = self.sources.find(path)
            && let Some(thunk) = self.loaded[index].1.clone()
        {
            return Ok(thunk);
        }
        let shown = path.strip_prefix(&self.root).unwrap_or(path).display().to_string();
        let unplaced = |text| Failure {
            text,
            place: None,
            through: Vec::new(),
        };
        let bytes = std::fs::read(path).map_err(|error| unplaced(format!("cannot read {shown}: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|_| unplaced(format!("{shown} is not UTF-8 text")))?;
        let (context, id) = program.span_manager_mut().insert_source_context(text.len());
        let file = SourceFile {
            path: path.to_owned(),
            shown: shown.clone(),
            text,
        };
        let index = self.sources.push(file);
        self.loaded.push((id, None));
        let loaded = program.load_source(context, self.sources.files()[index].text.as_bytes(), true, &shown);
        match loaded {
            Ok(thunk) => {
                self.loaded[index].1 = Some(thunk.clone());
                Ok(thunk)
            }
            Err(error) => Err(self.describe_load(program, &error)),
        }
    }

    /// The file that an import means: beside the importing file, else in the given folders, and inside them.
    fn resolve(&self, program: &Program<'p>, from: SpanId, path: &str) -> Result<PathBuf, String> {
        let beside = self
            .place(program, from)
            .and_then(|place| self.sources.files()[place.file].path.parent().map(Path::to_owned));
        let found = beside
            .iter()
            .chain(&self.folders)
            .filter_map(|folder| folder.join(path).canonicalize().ok())
            .find(|found| found.is_file());
        let searched = || -> Vec<String> { self.folders.iter().map(|folder| self.shown(folder)).collect() };
        match found {
            Some(found) if self.folders.iter().any(|folder| found.starts_with(folder)) => Ok(found),
            Some(_) => Err(format!(
                "`{path}` lies outside {}: imports stay inside",
                searched().join(" and ")
            )),
            None => Err(format!("there is no `{path}` in {}", searched().join(" or "))),
        }
    }

    fn shown(&self, path: &Path) -> String {
        match path.strip_prefix(&self.root) {
            Ok(inside) if inside.as_os_str().is_empty() => "./".to_owned(),
            Ok(inside) => format!("{}/", inside.display()),
            Err(_) => format!("{}/", path.display()),
        }
    }

    /// The place of a span in our files; the standard library's are not ours.
    fn place(&self, program: &Program<'p>, span: SpanId) -> Option<Place> {
        let (context, start, end) = program.span_manager().get_span(span);
        let SpanContext::Source(id) = *program.span_manager().get_context(context);
        let file = self.loaded.iter().position(|(source, _)| *source == id)?;
        Some(Place { file, start, end })
    }

    fn describe_load(&self, program: &Program<'p>, error: &LoadError) -> Failure {
        let (text, span) = message::load_error(error);
        Failure {
            text,
            place: self.place(program, span),
            through: Vec::new(),
        }
    }

    fn describe(&mut self, program: &Program<'p>, error: &EvalError) -> Failure {
        let mut trace: Vec<Place> = Vec::new();
        for item in error.stack_trace.iter().rev() {
            if let Some(place) = item_span(item).and_then(|span| self.place(program, span))
                && trace.last() != Some(&place)
            {
                trace.push(place);
            }
        }
        if let Some(mut failure) = self.failure.take() {
            failure.through = trace;
            failure.through.truncate(4);
            return failure;
        }
        let text = match &error.kind {
            EvalErrorKind::UnknownObjectField { field_name, .. } => {
                let nearest = super::nearest(field_name, &self.sources.field_names());
                format!("there is no field `{field_name}`{nearest}")
            }
            kind => message::eval_error(kind),
        };
        let own = message::eval_span(&error.kind).and_then(|span| self.place(program, span));
        let place = own.or_else(|| trace.first().copied());
        trace.retain(|through| Some(*through) != place);
        trace.truncate(4);
        Failure {
            text,
            place,
            through: trace,
        }
    }

    fn import_path(&mut self, program: &Program<'p>, from: SpanId, path: &str) -> Result<PathBuf, ImportError> {
        self.resolve(program, from, path).map_err(|text| {
            self.failure = Some(Failure {
                text,
                place: self.place(program, from),
                through: Vec::new(),
            });
            ImportError
        })
    }

    fn read(&mut self, program: &Program<'p>, from: SpanId, path: &str) -> Result<Vec<u8>, ImportError> {
        let found = self.import_path(program, from, path)?;
        std::fs::read(&found).map_err(|error| {
            self.failure = Some(Failure {
                text: format!("cannot read `{path}`: {error}"),
                place: self.place(program, from),
                through: Vec::new(),
            });
            ImportError
        })
    }
}

impl<'p> Callbacks<'p> for Loader<'p> {
    fn import(&mut self, program: &mut Program<'p>, from: SpanId, path: &str) -> Result<Thunk<'p>, ImportError> {
        let found = self.import_path(program, from, path)?;
        self.load(program, &found).map_err(|failure| {
            self.failure = Some(failure);
            ImportError
        })
    }

    fn import_str(&mut self, program: &mut Program<'p>, from: SpanId, path: &str) -> Result<String, ImportError> {
        let bytes = self.read(program, from, path)?;
        String::from_utf8(bytes).map_err(|_| {
            self.failure = Some(Failure {
                text: format!("`{path}` is not UTF-8 text"),
                place: self.place(program, from),
                through: Vec::new(),
            });
            ImportError
        })
    }

    fn import_bin(&mut self, program: &mut Program<'p>, from: SpanId, path: &str) -> Result<Vec<u8>, ImportError> {
        self.read(program, from, path)
    }

    /// `std.trace` is a definition's author looking at a value: it belongs on standard error, like all talk.
    #[allow(clippy::print_stderr, reason = "std.trace exists to print")]
    fn trace(&mut self, _program: &mut Program<'p>, message: &str, _stack: &[EvalStackTraceItem]) {
        eprintln!("trace: {message}");
    }

    fn native_call(
        &mut self,
        _program: &mut Program<'p>,
        _name: InternedStr<'p>,
        _args: &[Value<'p>],
    ) -> Result<Value<'p>, NativeError> {
        Err(NativeError)
    }
}

fn item_span(item: &EvalStackTraceItem) -> Option<SpanId> {
    match item {
        EvalStackTraceItem::Expr { span }
        | EvalStackTraceItem::Variable { span, .. }
        | EvalStackTraceItem::Import { span } => Some(*span),
        EvalStackTraceItem::Call { span, .. }
        | EvalStackTraceItem::ArrayItem { span, .. }
        | EvalStackTraceItem::ObjectField { span, .. } => *span,
        EvalStackTraceItem::CompareArrayItem { .. }
        | EvalStackTraceItem::CompareObjectField { .. }
        | EvalStackTraceItem::ManifestArrayItem { .. }
        | EvalStackTraceItem::ManifestObjectField { .. } => None,
    }
}
