//! The alternatives update-alternatives(1) keeps: generic names, their links and what they can stand for.
