//! Files here and in object stores, by one kind of address.
