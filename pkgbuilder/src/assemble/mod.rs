//! Stages 6 and 7: packages to a tree, a tree to a disk image.
