//! singer-plugin: skeleton, to be written.
