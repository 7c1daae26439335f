//! target-jsonl: skeleton, to be written.
fn main() {}
