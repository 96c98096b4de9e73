-- Whether files that break PS3.10 are taken into a directory as if each were stored with force; null: as above it.
alter table entries add column force boolean;
