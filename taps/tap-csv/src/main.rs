//! tap-csv: skeleton, to be written.
fn main() {}
