//! dativo-bus-engine: skeleton, to be written.
