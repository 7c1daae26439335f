//! dativo-bus: skeleton, to be written.
fn main() {}
