//! The messages on disk.

use bytes::Bytes;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// One message of `tests/torture`.
pub(crate) fn torture(name: &str) -> Bytes {
    let path = root().join("tests/torture").join(format!("{name}.sip"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

/// Every file of a folder, by name.
pub(crate) fn all(folder: &str) -> Vec<(String, Vec<u8>)> {
    let path = root().join(folder);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_file() && !name.starts_with('.') {
            files.push((name, std::fs::read(&path).unwrap()));
        }
    }
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

#[test]
fn every_file_of_the_fuzz_corpus_passes_the_fuzz_targets() {
    for folder in ["tests/torture", "fuzz/corpus/datagram", "fuzz/corpus/stream", "fuzz/corpus/uri"]
    {
        for (_, data) in all(folder) {
            sipsilo::sip::fuzz::datagram(&data);
            sipsilo::sip::fuzz::stream(&data);
            sipsilo::sip::fuzz::uri(&data);
        }
    }
}
