//! singer-protocol: skeleton, to be written.
