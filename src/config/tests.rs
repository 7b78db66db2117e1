//! The whole: layers, problems, the sample file.
