//! What the evaluator says, as sentences in our style.

use rsjsonnet_lang::lexer::LexError;
use rsjsonnet_lang::parser::{ActualToken, ExpectedToken, ParseError};
use rsjsonnet_lang::program::{AnalyzeError, EvalErrorKind, EvalErrorValueType, LoadError};
use rsjsonnet_lang::span::SpanId;
use rsjsonnet_lang::token::STokenKind;

/// An error of lexing, parsing or name resolution.
pub(super) fn load_error(error: &LoadError) -> (String, SpanId) {
    match error {
        LoadError::Lex(error) => lex_error(error),
        LoadError::Parse(ParseError::Expected {
            span,
            expected,
            instead,
        }) => {
            let expected: Vec<String> = expected.iter().copied().map(expected_token).collect();
            let text = format!("expected {}, found {}", alternatives(&expected), actual_token(instead));
            (text, *span)
        }
        LoadError::Analyze(error) => analyze_error(error),
    }
}

fn lex_error(error: &LexError) -> (String, SpanId) {
    use LexError as E;
    let (text, span) = match error {
        E::InvalidChar { span, chr } => (format!("`{}` means nothing in Jsonnet", chr.escape_default()), span),
        E::InvalidUtf8 { span, .. } => ("the file is not UTF-8".to_owned(), span),
        E::UnfinishedMultilineComment { span } => ("the comment has no closing `*/`".to_owned(), span),
        E::LeadingZeroInNumber { span } => (
            "a number cannot begin with 0; quote it if it is a file mode".to_owned(),
            span,
        ),
        E::MissingFracDigits { span }
        | E::MissingExpDigits { span }
        | E::MissingDigitAfterUnderscore { span }
        | E::ExpOverflow { span } => ("this is not a number; quote it if it is a version".to_owned(), span),
        E::InvalidEscapeInString { span, chr } => (format!("unknown escape `\\{}`", chr.escape_default()), span),
        E::IncompleteUnicodeEscape { span } | E::InvalidUtf16EscapeSequence { span, .. } => {
            ("this `\\u` escape is not a character".to_owned(), span)
        }
        E::UnfinishedString { span } => ("the string has no closing quote".to_owned(), span),
        E::MissingLineBreakAfterTextBlockStart { span }
        | E::MissingWhitespaceTextBlockStart { span }
        | E::InvalidTextBlockTermination { span } => (
            "a text block is `|||`, a newline, indented lines, and `|||` on a line of its own".to_owned(),
            span,
        ),
    };
    (text, *span)
}

fn analyze_error(error: &AnalyzeError) -> (String, SpanId) {
    use AnalyzeError as E;
    let (text, span) = match error {
        E::UnknownVariable { span, name } => (format!("there is no variable `{name}`"), span),
        E::SelfOutsideObject { self_span } => ("`self` outside an object".to_owned(), self_span),
        E::SuperOutsideObject { super_span } => ("`super` outside an object".to_owned(), super_span),
        E::DollarOutsideObject { dollar_span } => ("`$` outside an object".to_owned(), dollar_span),
        E::RepeatedLocalName {
            repeated_span, name, ..
        }
        | E::RepeatedFieldName {
            repeated_span, name, ..
        }
        | E::RepeatedParamName {
            repeated_span, name, ..
        } => (format!("`{name}` is given twice"), repeated_span),
        E::PositionalArgAfterNamed { arg_span } => (
            "arguments without a name come before those with one".to_owned(),
            arg_span,
        ),
        E::TextBlockAsImportPath { span } | E::ComputedImportPath { span } => {
            ("an import names its file by a plain string".to_owned(), span)
        }
    };
    (text, *span)
}

/// An error of evaluation. Unknown fields are told by the caller, who knows the known ones.
pub(super) fn eval_error(kind: &EvalErrorKind) -> String {
    use EvalErrorKind as E;
    match kind {
        E::StackOverflow => "the definition nests or calls itself too deep".to_owned(),
        E::InfiniteRecursion => "the value depends on itself".to_owned(),
        E::InvalidIndexedType { got_type, .. } => format!("{} has no fields", a(*got_type)),
        E::InvalidSlicedType { got_type, .. } => format!("{} cannot be sliced", a(*got_type)),
        E::SliceIndexOrStepIsNotNumber { got_type, .. }
        | E::StringIndexIsNotNumber { got_type, .. }
        | E::ArrayIndexIsNotNumber { got_type, .. } => format!("the index is {}, not a number", a(*got_type)),
        E::NumericIndexIsNotValid { index, .. } => format!("{index} is not an index"),
        E::NumericIndexOutOfRange { index, length, .. } => format!("index {index} of {length} elements"),
        E::RepeatedFieldName { name, .. } => format!("field `{name}` is given twice"),
        E::ObjectIndexIsNotString { got_type, .. } | E::FieldNameIsNotString { got_type, .. } => {
            format!("the field name is {}, not a string", a(*got_type))
        }
        E::UnknownObjectField { field_name, .. } => format!("there is no field `{field_name}`"),
        E::FieldOfNonObject { .. } => "only objects have fields".to_owned(),
        E::SuperWithoutSuperObject { .. } => "`super` where nothing is extended".to_owned(),
        E::ForSpecValueIsNotArray { got_type, .. } => format!("`for` goes over arrays, not {}", a(*got_type)),
        E::CondIsNotBool { got_type, .. } => format!("the condition is {}, not true or false", a(*got_type)),
        E::CalleeIsNotFunction { got_type, .. } => format!("{} cannot be called", a(*got_type)),
        E::TooManyCallArgs { num_params, .. } => format!("too many arguments: the function takes {num_params}"),
        E::UnknownCallParam { param_name, .. } => format!("the function has no parameter `{param_name}`"),
        E::RepeatedCallParam { param_name, .. } => format!("argument `{param_name}` is given twice"),
        E::CallParamNotBound { param_name, .. } => format!("argument `{param_name}` is missing"),
        E::NativeCallFailed => "there are no native functions here".to_owned(),
        E::InvalidUnaryOpType { rhs_type, .. } => format!("the operator does not apply to {}", a(*rhs_type)),
        E::InvalidBinaryOpTypes { lhs_type, rhs_type, .. } => {
            format!("the operator does not apply to {} and {}", a(*lhs_type), a(*rhs_type))
        }
        E::NumberNotBitwiseSafe { .. } | E::NumberOverflow { .. } => "the number is too large".to_owned(),
        E::NumberNan { .. } | E::DivByZero { .. } | E::ShiftByNegative { .. } => {
            "the result is not a number".to_owned()
        }
        E::InvalidStdFuncArgType {
            func_name,
            arg_index,
            expected_types,
            got_type,
        } => {
            let expected: Vec<String> = expected_types.iter().map(|kind| a(*kind).to_owned()).collect();
            let number = arg_index + 1;
            format!(
                "argument {number} of `std.{func_name}` must be {}, not {}",
                alternatives(&expected),
                a(*got_type)
            )
        }
        E::AssertFailed { message, .. } => message.clone().unwrap_or_else(|| "assertion failed".to_owned()),
        E::AssertEqualFailed { lhs, rhs } => format!("{lhs} is not {rhs}"),
        E::ExplicitError { message, .. } | E::Other { message, .. } => message.clone(),
        E::ImportFailed { path, .. } => format!("cannot import `{path}`"),
        E::UnknownExtVar { name } => format!("there is no external variable `{name}`"),
        E::ManifestFunction => "a function is not a value: call it".to_owned(),
        E::CompareNullInequality
        | E::CompareBooleanInequality
        | E::CompareObjectInequality
        | E::CompareFunctions
        | E::CompareDifferentTypesInequality { .. }
        | E::PrimitiveEqualsNonPrimitive { .. } => "these values cannot be compared".to_owned(),
    }
}

/// The place an evaluation error names itself, where it does.
pub(super) fn eval_span(kind: &EvalErrorKind) -> Option<SpanId> {
    use EvalErrorKind as E;
    match kind {
        E::InvalidIndexedType { span, .. }
        | E::InvalidSlicedType { span, .. }
        | E::SliceIndexOrStepIsNotNumber { span, .. }
        | E::StringIndexIsNotNumber { span, .. }
        | E::ArrayIndexIsNotNumber { span, .. }
        | E::NumericIndexIsNotValid { span, .. }
        | E::NumericIndexOutOfRange { span, .. }
        | E::ObjectIndexIsNotString { span, .. }
        | E::RepeatedFieldName { span, .. }
        | E::FieldNameIsNotString { span, .. }
        | E::UnknownObjectField { span, .. }
        | E::FieldOfNonObject { span }
        | E::SuperWithoutSuperObject { span }
        | E::ForSpecValueIsNotArray { span, .. }
        | E::CondIsNotBool { span, .. }
        | E::InvalidUnaryOpType { span, .. }
        | E::AssertFailed { span, .. }
        | E::ExplicitError { span, .. }
        | E::ImportFailed { span, .. } => Some(*span),
        E::CalleeIsNotFunction { span, .. }
        | E::TooManyCallArgs { span, .. }
        | E::UnknownCallParam { span, .. }
        | E::RepeatedCallParam { span, .. }
        | E::CallParamNotBound { span, .. }
        | E::InvalidBinaryOpTypes { span, .. }
        | E::NumberNotBitwiseSafe { span }
        | E::NumberOverflow { span }
        | E::NumberNan { span }
        | E::DivByZero { span }
        | E::ShiftByNegative { span }
        | E::Other { span, .. } => *span,
        _ => None,
    }
}

fn a(kind: EvalErrorValueType) -> &'static str {
    match kind {
        EvalErrorValueType::Null => "null",
        EvalErrorValueType::Bool => "a boolean",
        EvalErrorValueType::Number => "a number",
        EvalErrorValueType::String => "a string",
        EvalErrorValueType::Array => "an array",
        EvalErrorValueType::Object => "an object",
        EvalErrorValueType::Function => "a function",
    }
}

fn alternatives(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

fn expected_token(token: ExpectedToken) -> String {
    match token {
        ExpectedToken::EndOfFile => "the end of the file".to_owned(),
        ExpectedToken::Simple(kind) => symbol(kind),
        ExpectedToken::Ident => "a name".to_owned(),
        ExpectedToken::Number => "a number".to_owned(),
        ExpectedToken::String | ExpectedToken::TextBlock => "a string".to_owned(),
        ExpectedToken::Expr => "a value".to_owned(),
        ExpectedToken::BinaryOp => "an operator".to_owned(),
    }
}

fn actual_token(token: &ActualToken) -> String {
    match token {
        ActualToken::EndOfFile => "the end of the file".to_owned(),
        ActualToken::Simple(kind) => symbol(*kind),
        ActualToken::OtherOp(text) | ActualToken::Ident(text) => format!("`{text}`"),
        ActualToken::Number => "a number".to_owned(),
        ActualToken::String | ActualToken::TextBlock => "a string".to_owned(),
    }
}

/// Punctuation as it is written; the keywords' names are their spelling.
fn symbol(kind: STokenKind) -> String {
    use STokenKind as K;
    let text = match kind {
        K::LeftParen => "(",
        K::RightParen => ")",
        K::LeftBracket => "[",
        K::RightBracket => "]",
        K::LeftBrace => "{",
        K::RightBrace => "}",
        K::Comma => ",",
        K::Semicolon => ";",
        K::Colon => ":",
        K::ColonColon => "::",
        K::ColonColonColon => ":::",
        K::PlusColon => "+:",
        K::PlusColonColon => "+::",
        K::PlusColonColonColon => "+:::",
        K::Eq => "=",
        K::Dot => ".",
        K::Dollar => "$",
        K::Plus => "+",
        K::Minus => "-",
        other => return format!("`{}`", format!("{other:?}").trim_end_matches('_').to_lowercase()),
    };
    format!("`{text}`")
}
