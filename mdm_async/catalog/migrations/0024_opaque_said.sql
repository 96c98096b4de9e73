-- The few directories that say of their own that they take opaque files.
create index entries_opaque on entries (id) where opaque;
