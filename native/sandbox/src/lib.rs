//! dativo-sandbox: skeleton, to be written.
