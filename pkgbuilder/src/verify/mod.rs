//! Stage 4: nothing is used before its digest and signature are right.
