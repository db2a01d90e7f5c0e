//! The type of a value whose type is nowhere said: that in a variant.

use super::variant::Type;
use super::variant_text::{Written, range};

/// What is known of the type of a value whose type is nowhere said.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Guess {
    Any,
    Number,
    String,
    Exactly(Type),
    Array(Box<Self>),
    Entry(Box<(Self, Self)>),
    Tuple(Vec<Self>),
    Maybe(Box<Self>),
}

impl Guess {
    /// The type that it comes to: whole numbers are of 32 bits.
    pub(super) fn definite(self) -> Result<Type, String> {
        Ok(match self {
            Self::Any => return Err("the type of a value cannot be told".to_owned()),
            Self::Number => Type::Basic(b'i'),
            Self::String => Type::string(),
            Self::Exactly(kind) => kind,
            Self::Array(of) => Type::Array(Box::new(of.definite()?)),
            Self::Entry(of) => Type::Entry(Box::new((of.0.definite()?, of.1.definite()?))),
            Self::Tuple(members) => Type::Tuple(members.into_iter().map(Self::definite).collect::<Result<_, _>>()?),
            Self::Maybe(of) => Type::Maybe(Box::new(of.definite()?)),
        })
    }

    /// The type that two elements of one array have.
    fn with(self, other: Self) -> Result<Self, String> {
        Ok(match (self, other) {
            (Self::Any, guess) | (guess, Self::Any) => guess,
            (Self::Number, Self::Exactly(kind)) | (Self::Exactly(kind), Self::Number) if matches!(kind, Type::Basic(letter) if letter == b'd' || range(letter).is_some()) => {
                Self::Exactly(kind)
            }
            (Self::String, Self::Exactly(kind)) | (Self::Exactly(kind), Self::String)
                if matches!(kind, Type::Basic(b's' | b'o' | b'g')) =>
            {
                Self::Exactly(kind)
            }
            (Self::Array(a), Self::Array(b)) => Self::Array(Box::new(a.with(*b)?)),
            (Self::Maybe(a), Self::Maybe(b)) => Self::Maybe(Box::new(a.with(*b)?)),
            (Self::Entry(a), Self::Entry(b)) => Self::Entry(Box::new((a.0.with(b.0)?, a.1.with(b.1)?))),
            (Self::Tuple(a), Self::Tuple(b)) if a.len() == b.len() => {
                let members = a.into_iter().zip(b).map(|(a, b)| a.with(b));
                Self::Tuple(members.collect::<Result<_, _>>()?)
            }
            (a, b) if a == b => a,
            _ => return Err("the elements of an array have different types".to_owned()),
        })
    }
}

/// What a value shows of its type.
pub(super) fn guess(written: &Written) -> Result<Guess, String> {
    let all = |values: &[Written]| {
        let guesses = values.iter().map(guess);
        guesses.reduce(|a, b| a?.with(b?)).unwrap_or(Ok(Guess::Any))
    };
    Ok(match written {
        Written::Number(text) => {
            let hexadecimal = text.contains(['x', 'X']);
            let is_double = text.contains(['.', 'n']) || (!hexadecimal && text.contains(['e', 'E']));
            if is_double {
                Guess::Exactly(Type::Basic(b'd'))
            } else {
                Guess::Number
            }
        }
        Written::String(_) => Guess::String,
        Written::Bytes(_) => Guess::Exactly(Type::Array(Box::new(Type::Basic(b'y')))),
        Written::Boolean(_) => Guess::Exactly(Type::Basic(b'b')),
        Written::Variant(_) => Guess::Exactly(Type::Basic(b'v')),
        Written::Typed(kind, _) => Guess::Exactly(kind.clone()),
        Written::Nothing => Guess::Maybe(Box::new(Guess::Any)),
        Written::Just(inner) => Guess::Maybe(Box::new(guess(inner)?)),
        Written::Array(elements) => Guess::Array(Box::new(all(elements)?)),
        Written::Tuple(members) => Guess::Tuple(members.iter().map(guess).collect::<Result<_, _>>()?),
        Written::Entry(entry) => Guess::Entry(Box::new((guess(&entry.0)?, guess(&entry.1)?))),
        Written::Dictionary(entries) => {
            let (keys, values): (Vec<_>, Vec<_>) = entries.iter().cloned().unzip();
            Guess::Array(Box::new(Guess::Entry(Box::new((all(&keys)?, all(&values)?)))))
        }
    })
}
