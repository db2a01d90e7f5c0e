//! Stage 3: bytes from mirrors and release hosts into the content-addressed cache.
